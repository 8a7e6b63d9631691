"""Decisions under uncertainty, with error bounds that hold whenever one looks.

Exact intervals and the survival functions are in `intervals`.

- `HostTest`: a sequential test of one network by its unknown recipients. Good senders differ in how
  stale their lists are, so the share of unknown recipients is a Beta distribution, not a constant;
  with a constant the test would be far too sure.
- `EProcess`: evidence that an address gets no legitimate mail. It is a wager against "at least a
  share q0 of the sources is legitimate"; at most a part alpha of such addresses ever reaches
  1/alpha (Ville's inequality).
- `promoted`: the choice among many addresses, with a bound on the share of wrong ones that holds
  under any dependence (e-BH, Wang and Ramdas 2022).
- `expected_losses`: the Good-Turing estimate of the next first mistake.

All functions are pure and take counts of independent sources, not of recipients.
"""

from collections.abc import Mapping
from math import lgamma, log

import msgspec

from gatepost.traps.intervals import garwood


class Beta(msgspec.Struct, frozen=True):
    """A Beta distribution of the share of unknown recipients; both parameters are above 0."""

    a: float
    b: float

    def log_ratio(self, unknown: int, known: int) -> float:
        """Return ln B(unknown + a, known + b) / B(a, b)."""
        return _log_beta(unknown + self.a, known + self.b) - _log_beta(self.a, self.b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


GOOD = Beta(0.2, 5.0)  # mean 3.8 % unknown
GOOD_BULK = Beta(0.3, 3.0)  # mean 9 %
BAD = Beta(2.0, 1.0)  # mean 67 %


class HostTest(msgspec.Struct, frozen=True):
    """The beta-binomial sequential test of a sender by its unknown recipients."""

    good: Beta = GOOD
    bad: Beta = BAD

    def evidence(self, unknown: int, known: int) -> float:
        """Return the log likelihood ratio of bad against good, for distinct recipients.

        The binomial coefficients cancel out.
        """
        return self.bad.log_ratio(unknown, known) - self.good.log_ratio(unknown, known)

    def is_bad(self, unknown: int, known: int, alpha: float) -> bool:
        """Return whether to act; a part of at most alpha of good senders ever reaches this.

        It holds at any time, because the ratio is that of two mixtures (Ville's inequality).
        """
        return self.evidence(unknown, known) >= -log(alpha)

    def needed(self, known: int, alpha: float, most: int = 2000) -> int | None:
        """Return the smallest number of unknown recipients to act on, None if above `most`."""
        return next((one for one in range(1, most + 1) if self.is_bad(one, known, alpha)), None)


class EProcess(msgspec.Struct, frozen=True):
    """Evidence against "at least a share q0 of the sources is legitimate".

    `value` starts with the weight of the class of the address. The mean weight of all candidates
    must be at most 1, or the bound of `promoted` does not hold.
    """

    q0: float = 0.1
    value: float = 1.0

    def after(self, bad: int = 0, good: int = 0) -> "EProcess":
        """Return the evidence after more bad and good sources; an open one changes nothing."""
        rest = self.q0 / 20
        factor = ((1 - rest) / (1 - self.q0)) ** bad * (rest / self.q0) ** good
        return EProcess(self.q0, self.value * factor)

    def is_proven(self, alpha: float) -> bool:
        """Return whether the bound `alpha` on a false promotion is reached."""
        return self.value * alpha >= 1


def promoted(evidence: Mapping[str, float], share: float) -> list[str]:
    """Return the candidates to promote, so that at most `share` of them are expected to be wrong.

    `evidence` has the value of each candidate's process.
    """
    ordered = sorted(evidence, key=lambda key: evidence[key], reverse=True)
    found = 0
    for rank, key in enumerate(ordered, start=1):
        if evidence[key] * share * rank >= len(ordered):
            found = rank
    return ordered[:found]


class Budget(msgspec.Struct, frozen=True):
    """Legitimate messages expected to be lost per 100,000: the estimate and its upper bound."""

    expected: float
    upper: float


def expected_losses(
    *, once: int, sources: int, hits_per_day: float, legitimate_per_day: float
) -> Budget:
    """Return the Good-Turing estimate of legitimate messages lost to learned traps.

    `sources` is the number of independent sources that hit learned traps in the last 30 days,
    `once` the number of traps with exactly one good source. Their ratio estimates the chance that
    the next hit is the first legitimate one of its trap. The upper bound is at 95 % (one-sided).
    """
    if sources == 0 or legitimate_per_day <= 0:
        return Budget(0.0, 0.0)
    scale = 1e5 * hits_per_day / legitimate_per_day / sources
    return Budget(once * scale, garwood(once, 0.90).high * scale)
