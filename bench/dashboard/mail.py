"""Records of a busy server: good mail, spam, traps, greylisting, connections without mail.

Half of the sessions are refused, a sixth has no message. Recipients, senders and clients are
frequent or rare as in real mail: the first of a list has a large share, the last ones very little.
The same seed makes the same records.
"""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    PluginResult,
    RecipientRecord,
    Record,
    Transaction,
    Trap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# The domains of the recipients. The first has a sixth of all mail, RARE one message in 20,000.
DOMAINS, USERS = 300, 200
BUSY, RARE = "d0.example.com", "rare.example.com"
RARE_SHARE = 1 / 20_000
SENDERS, NETWORKS = 20_000, 30_000
TRAPS = 500
SUBJECT = "A subject of the usual length of a subject"
SPAM = (
    ("rcpt", "dnsbl", "listed", 40),
    ("rcpt", "gatepost", "unknown-recipient", 25),
    ("message", "score", "spam", 12),
    ("mail", "spf", "fail", 8),
    ("message", "dmarc", "fail", 8),
    ("rcpt", "gatepost", "relay-denied", 4),
    ("data", "gatepost", "trap", 3),
)


class Session(NamedTuple):
    """A session: its reference, the end of its time, its client, sender and recipient."""

    ref: str
    time: float
    client: Client
    sender: str
    domain: str
    to: str


class Mail:
    """Makes the records of sessions; references begin with `prefix`."""

    def __init__(self, seed: int, prefix: str) -> None:
        self._rng = random.Random(seed)
        self._prefix = prefix
        self._number = 0
        self._domains = _Frequent(self._rng, DOMAINS)
        self._senders = _Frequent(self._rng, SENDERS)
        self._networks = _Frequent(self._rng, NETWORKS)
        self._kinds = list(_KINDS)
        self._weights = list(accumulate(_KINDS.values()))

    def session(self, time: float) -> Iterator[Record]:
        """Yield the records of a session that ends at a time."""
        self._number += 1
        kind = self._rng.choices(self._kinds, cum_weights=self._weights)[0]
        return kind(self._rng, self._session(time))

    def _session(self, time: float) -> Session:
        rng = self._rng
        network, number = self._networks(), self._senders()
        address = f"100.{network // 256}.{network % 256}.{rng.randrange(1, 255)}"
        domain = f"s{number}.example"
        client = Client(
            address,
            40000,
            name=f"mail.{domain}",
            helo=f"mail.{domain}",
            tls="TLSv1.3",
            cipher="TLS_AES_256_GCM_SHA384",
            listener="0.0.0.0:25",
        )
        to = RARE if rng.random() < RARE_SHARE else f"d{self._domains()}.example.com"
        return Session(
            f"{self._prefix}{self._number:07x}",
            time,
            client,
            f"u{rng.randrange(5000)}@{domain}",
            domain,
            f"u{rng.randrange(USERS)}@{to}",
        )


class _Frequent:
    """Chooses a number below `count`: the share of each is that of its rank."""

    def __init__(self, rng: random.Random, count: int) -> None:
        self._rng = rng
        self._numbers = range(count)
        self._weights = list(accumulate(1 / (rank + 1) for rank in self._numbers))

    def __call__(self) -> int:
        return self._rng.choices(self._numbers, cum_weights=self._weights)[0]


def _good(rng: random.Random, one: Session) -> Iterator[Record]:
    yield _connection(one, messages=1)
    yield _transaction(
        one,
        result="accepted",
        reply="250 2.0.0 Message accepted",
        size=4096,
        answers=[Answer("mail", "spf", "accept", "pass", seconds=0.002)],
        results=[*_checks(one, "pass"), PluginResult("standing", _standing(rng))],
    )
    to = [one.to]
    yield Delivery(
        one.time, f"{one.ref}.1", "mx.example.com", "delivered", to, 1, "250 Ok", "", one.sender
    )


def _standing(rng: random.Random) -> str:
    return "acquainted" if rng.random() < 0.3 else "stranger"


def _spam(rng: random.Random, one: Session) -> Iterator[Record]:
    hook, by, reason, _ = rng.choices(SPAM, [row[-1] for row in SPAM])[0]
    yield _connection(one, faults=1)
    reply = f"550 5.7.1 Refused: {reason} [{one.ref}.1]"
    answers = [Answer(hook, by, "deny", reason, reply, one.to, 0.01)]
    if rng.random() < 0.1:
        answers.append(Answer("message", "content", "deny", "words", shadow=True))
    fields = {
        "by": by,
        "reason": reason,
        "reply": reply,
        "hook": hook,
        "answers": answers,
        "traps": _traps(rng) if reason == "trap" else (),
        "traps_count": int(reason == "trap"),
        "results": _checks(one, "fail" if by in ("spf", "dmarc") else "none"),
    }
    yield _transaction(one, result="refused", **fields)


def _traps(rng: random.Random) -> Sequence[Trap]:
    number = rng.randrange(TRAPS)
    address = f"trap{number}@d{number % DOMAINS}.example.com"
    return [Trap(address, address, "verybadrcptto", number + 1)]


def _greylisted(_rng: random.Random, one: Session) -> Iterator[Record]:
    reply = f"451 4.7.1 Try again later [{one.ref}.1]"
    answers = [Answer("rcpt", "greylist", "defer", "greylisted", reply, one.to)]
    yield _connection(one, faults=1)
    yield _transaction(
        one, result="deferred", by="greylist", reason="greylisted", reply=reply, answers=answers
    )


def _without_mail(rng: random.Random, one: Session) -> Iterator[Record]:
    end = rng.choice(("quit", "lost", "early-talker", "refused"))
    reply = "554 5.7.1 Refused" if end in ("early-talker", "refused") else ""
    answers = [Answer("connect", "dnsbl", "deny", "listed", reply)] if reply else ()
    yield Connection(one.time, one.ref, one.client, 1.5, end, reply=reply, answers=answers)


_KINDS: dict[Callable[[random.Random, Session], Iterator[Record]], int] = {
    _good: 30,
    _spam: 45,
    _greylisted: 10,
    _without_mail: 15,
}


def _connection(one: Session, **fields: int) -> Connection:
    counts = {"seconds": 0.4, "transactions": 1, "received": 5000, "sent": 400, **fields}
    return Connection(one.time, one.ref, one.client, end="quit", **counts)  # type: ignore[arg-type]


def _transaction(one: Session, **fields: object) -> Transaction:
    result = str(fields["result"])
    at_rcpt = result != "accepted" and fields.get("hook", "rcpt") == "rcpt"
    recipient = RecipientRecord(
        one.to,
        result if at_rcpt else "accepted",  # type: ignore[arg-type]
        str(fields["reply"]) if at_rcpt else "250 2.1.5 Ok",
    )
    values = {
        "time": one.time,
        "ref": f"{one.ref}.1",
        "session": one.ref,
        "client": one.client,
        "sender": one.sender,
        "seconds": 0.31,
        "recipients": [recipient],
        "recipients_count": 1,
        "message_id": f"<{one.ref}@{one.domain}>",
        "header_from": one.sender,
        "subject": SUBJECT,
    }
    return Transaction(**values | fields)  # type: ignore[arg-type]


def _checks(one: Session, result: str) -> list[PluginResult]:
    facts = {"domain": one.domain, "spf": result, "dkim": result, "policy": "reject"}
    applied = {"disposition": "reject"} if result == "fail" else {}
    return [
        PluginResult("spf", result, facts={"domain": one.domain}),
        PluginResult("dkim", result, facts={"domain": one.domain}),
        PluginResult("dmarc", result, facts=facts | applied),
    ]
