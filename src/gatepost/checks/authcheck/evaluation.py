"""All checks of one message as one check: SPF, DKIM, ARC, and DMARC from their results.

Security: everything but the time is untrusted.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from gatepost.checks.authcheck.message import Message
from gatepost.mailauth.arc import ArcResult, verify_chain
from gatepost.mailauth.dkim import DkimResult, verify
from gatepost.mailauth.dmarc import DmarcResult, Identifier, evaluate
from gatepost.mailauth.spf import SpfResult, check_host
from gatepost.net.questions import Check


class Envelope(NamedTuple):
    """The client's valid IP address, its name in EHLO, the reverse-path without angle brackets.

    Each is "" if it is not known. A reverse-path that is "" counts as the null one.
    """

    ip: str = ""
    helo: str = ""
    sender: str = ""


class Evaluation(msgspec.Struct, frozen=True):
    """The results of one message; `steps` are those of SPF, for people."""

    spf: SpfResult
    dkim: Sequence[DkimResult]
    arc: ArcResult
    dmarc: DmarcResult
    steps: Sequence[str]


def evaluate_all(envelope: Envelope, message: Message | None, now: float) -> Check[Evaluation]:
    """Check a message at a Unix time; without a message, check SPF only."""
    steps = list[str]()
    spf = yield from _spf(envelope, now, steps)
    if message is None:
        nothing = "there is no message"
        return Evaluation(spf, [], ArcResult("none", nothing), DmarcResult("none", nothing), steps)
    dkim = yield from verify(message.block, message.signatures, message.hashes, now)
    arc = yield from verify_chain(message.chain, message.hashes, now)
    dmarc = yield from _dmarc(message, [*_identifiers(spf, dkim)])
    return Evaluation(spf, dkim, arc, dmarc, steps)


def _spf(envelope: Envelope, now: float, steps: list[str]) -> Check[SpfResult]:
    if not envelope.ip:
        return SpfResult("none", "not checked: the address of the client is not known")
    if not (envelope.sender or envelope.helo):
        return SpfResult("none", "not checked: neither the sender nor the HELO name is known")
    sender, helo = envelope.sender, envelope.helo
    check = check_host(envelope.ip, "", sender, helo, now=int(now), note=steps.append)
    return (yield from check)


def _identifiers(spf: SpfResult, dkim: Sequence[DkimResult]) -> Iterator[Identifier]:
    if spf.domain:
        yield Identifier("spf", spf.domain, spf.result)
    for one in dkim:
        if one.domain:
            yield Identifier("dkim", one.domain, one.result, one.selector)


def _dmarc(message: Message, identifiers: Sequence[Identifier]) -> Check[DmarcResult]:
    if not message.author.domain:
        return DmarcResult("permerror", message.author.problem)
    return (yield from evaluate(message.author.domain, identifiers))
