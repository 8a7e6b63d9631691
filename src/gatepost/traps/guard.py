"""The guard of learned and registered traps: what shows that a trap is a mistake.

If a known sender hits a trap, the trap is probably a mistake. But an attacker that suspects a trap
can make known senders hit it: by a message to them with the trap in Cc, to which they reply, or by
forms in which any person can enter the address. So such a hit exempts this sender only. A trap goes
to shadow after hits of UNRELATED correspondents that have nothing to do with each other.

A message counts as one of a correspondent if a person has begun it:

- It is no reply and not forwarded: an attacker can begin as many threads as there are senders, and
  each answer would be a thread of its own.
- It is neither from a list nor automatic, as the answers of forms are.
- It has a Message-ID. Those with the same one are copies of one message.

Correspondents with the same organisational domain are one, and so are copies of one message.

`losses` is the Good-Turing estimate of legitimate messages that learned traps will still cost.

Limits: a person can be asked to write to an address; UNRELATED of them have to do it. The reply of
a mail program that marks it neither by a field nor in the subject is a first message.
"""

import hashlib
import re
from collections.abc import Iterable

import msgspec

from gatepost.model.headers import Headers
from gatepost.traps.automatic import is_automatic_answer
from gatepost.traps.statistics import Budget, expected_losses

UNRELATED = 3
# More exemptions of one domain in a month are no mistakes of traps, but mail to a bought list.
MOST_OF_DOMAIN = 3
# The days of the estimate.
DAYS = 30

_REPLIES = ("In-Reply-To", "References")
# The fields of mail to many (RFC 2369, 2919, 8058) and of programs, and the values that mark it.
_MASS_MAIL = {
    "Feedback-ID": re.compile(r""),
    "List-Id": re.compile(r""),
    "List-Post": re.compile(r""),
    "List-Unsubscribe": re.compile(r""),
    "Precedence": re.compile(r"bulk|junk|list", re.IGNORECASE),
    "X-Auto-Response-Suppress": re.compile(r""),
}
# "Re:" and "Fwd:" in the languages of common mail programs, also "Re[2]:" and "Re (2):".
_ANSWER = re.compile(
    r"\s*(?:re|aw|antw|sv|vs|odp|ynt|rif|res|fwd?|wg|tr|enc|rv|vb|doorst|pd|i|r)"
    r"\s*(?:\[\d+\]|\(\d+\))?\s*:",
    re.IGNORECASE,
)


class Correspondent(msgspec.Struct, frozen=True):
    """A sender that has begun a message: its organisational domain, the hash of its Message-ID."""

    domain: str
    message: str

    def is_related(self, other: "Correspondent") -> bool:
        """Return whether both may have one cause."""
        return self.domain == other.domain or self.message == other.message


def correspondent(domain: str, headers: Headers) -> Correspondent | None:
    """Return the correspondent that a message counts for, None if it does not count.

    `domain` is the organisational domain of the sender, which is proven.
    """
    message_id = (headers.get("Message-ID") or "").strip()
    if not message_id or _is_answer(headers) or _is_mass_mail(headers):
        return None
    octets = message_id.encode(errors="surrogatepass")
    return Correspondent(domain, hashlib.blake2b(octets, digest_size=12).hexdigest())


def _is_answer(headers: Headers) -> bool:
    if is_automatic_answer(headers) or any(headers.get(name) is not None for name in _REPLIES):
        return True
    return _ANSWER.match(headers.get("Subject") or "") is not None


def _is_mass_mail(headers: Headers) -> bool:
    return any(
        pattern.match(value) is not None
        for name, pattern in _MASS_MAIL.items()
        for value in headers.get_all(name)
    )


def is_unrelated(new: Correspondent, known: Iterable[Correspondent]) -> bool:
    """Return whether a correspondent has nothing to do with any that has hit the trap before."""
    return not any(new.is_related(one) for one in known)


class Counts(msgspec.Struct, frozen=True):
    """Sums of the last DAYS days: hits of learned traps, their sources, accepted messages.

    `once` is the number of learned traps with exactly one legitimate sender.
    """

    hits: int
    sources: int
    once: int
    accepted: int


def losses(counts: Counts) -> Budget:
    """Return the legitimate messages per 100,000 that learned traps are expected to refuse."""
    return expected_losses(
        once=max(counts.once, 0),
        sources=counts.sources,
        hits_per_day=counts.hits / DAYS,
        legitimate_per_day=counts.accepted / DAYS,
    )
