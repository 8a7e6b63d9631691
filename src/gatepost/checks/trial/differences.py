"""The comparison of two trials of one message.

Steps are compared by their hook and argument. References in replies and the time that plugins took
differ in each trial, so they are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

import msgspec

from gatepost.checks.trial.listing import facts, first_line, verdict
from gatepost.checks.trial.result import Trial, TrialStep

RESULT = "result"
FINDING = "finding"
# In place of the reference of a session.
REF = "REF"

Key = tuple[str, str, int]


class Difference(msgspec.Struct, frozen=True):
    """One line of a comparison: what it is about, and what each trial has, "" for nothing.

    `hook` is the hook, RESULT for the message as a whole, or FINDING for what was found and done.
    """

    hook: str
    about: str
    here: str
    there: str

    @property
    def is_same(self) -> bool:
        """Return whether both trials have the same."""
        return self.here == self.there


def compare(here: Trial, there: Trial, count: int) -> list[Difference]:
    """Return all lines of two trials of a message to `count` recipients, also the same ones."""
    return [
        Difference(RESULT, "", verdict(here, count), verdict(there, count)),
        *_steps(here, there),
        *_findings(here, there),
    ]


def _steps(here: Trial, there: Trial) -> Iterator[Difference]:
    ours, theirs = _by_key(here), _by_key(there)
    for key in _in_order(list(ours), list(theirs)):
        yield Difference(key[0], key[1], ours.get(key, ""), theirs.get(key, ""))


def _by_key(trial: Trial) -> dict[Key, str]:
    """Return each step in words. A recipient can be named twice, so keys have a number."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Key, str] = {}
    for step in trial.steps:
        seen[step.hook, step.about] += 1
        found[step.hook, step.about, seen[step.hook, step.about]] = _words(step, trial.ref)
    return found


def _words(step: TrialStep, ref: str) -> str:
    reply = first_line(step.reply)
    decided = f"{step.by}: {step.answer}" if step.by else step.answer
    return "; ".join(filter(None, (decided, reply.replace(ref, REF) if ref else reply)))


def _in_order(first: Sequence[Key], second: Sequence[Key]) -> Iterable[Key]:
    """Return the keys of both, each of the second after those that come before it there."""
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    return dict.fromkeys(key for _, a, b, c, d in blocks for key in (*first[a:b], *second[c:d]))


def _findings(here: Trial, there: Trial) -> Iterator[Difference]:
    ours, theirs = Counter(facts(here)), Counter(facts(there))
    for line in dict.fromkeys([*ours, *theirs]):
        same = min(ours[line], theirs[line])
        yield from [Difference(FINDING, "", line, line)] * same
        yield from [Difference(FINDING, "", line, "")] * (ours[line] - same)
        yield from [Difference(FINDING, "", "", line)] * (theirs[line] - same)
