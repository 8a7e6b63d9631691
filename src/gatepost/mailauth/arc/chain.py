"""The ARC sets of a message, and whether they form a chain: RFC 8617 section 5.2, steps 1 to 3."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from gatepost.mailauth.arc.seal import (
    MOST_SETS,
    Message,
    Results,
    Seal,
    read_message,
    read_results,
    read_seal,
)
from gatepost.mailauth.dkim.fault import SignatureError
from gatepost.mailauth.dkim.header_block import HeaderBlock
from gatepost.mailauth.dkim.signature import Signature


class ArcSet(msgspec.Struct, frozen=True):
    """What one intermediary stated.

    `chain` is cv=, the result of the chain that it received. `domain` and `selector` are those of
    the seal, `message_domain` and `message_selector` those of the message signature. `results` is
    the text of its authentication results, which is untrusted unless the chain passes and the
    domain is trusted.
    """

    instance: int
    chain: str
    domain: str
    selector: str
    message_domain: str
    message_selector: str
    results: str


class Chain(msgspec.Struct, frozen=True):
    """The ARC fields of a message, by instance from 1 upwards; `fault` is "" for a chain.

    With a fault `seals`, `messages` and `results` may have no values.
    """

    block: HeaderBlock
    seals: Sequence[Seal] = ()
    messages: Sequence[Message] = ()
    results: Sequence[Results] = ()
    fault: str = ""

    @property
    def signatures(self) -> list[Signature]:
        """The signatures for which body hashes are needed."""
        return [] if self.fault else [one.signature for one in self.messages]

    @property
    def sets(self) -> list[ArcSet]:
        """The sets without their signatures."""
        return [
            ArcSet(
                instance=seal.instance,
                chain=seal.chain,
                domain=seal.domain,
                selector=seal.selector,
                message_domain=message.signature.domain,
                message_selector=message.signature.selector,
                results=results.text,
            )
            for seal, message, results in zip(self.seals, self.messages, self.results, strict=True)
        ]


class _Numbered(Protocol):
    @property
    def instance(self) -> int: ...


_Part = TypeVar("_Part", bound=_Numbered)


def read_chain(header_block: bytes | HeaderBlock) -> Chain:
    """Return the ARC sets of a message; without ARC fields a chain of no sets."""
    block = HeaderBlock.of(header_block)
    try:
        seals = _parts(block, "ARC-Seal", read_seal)
        messages = _parts(block, "ARC-Message-Signature", read_message)
        results = _parts(block, "ARC-Authentication-Results", read_results)
    except SignatureError as error:
        return Chain(block, fault=str(error))
    if not len(seals) == len(messages) == len(results):
        return Chain(block, fault="a set has not all three fields")
    return Chain(block, seals, messages, results, _fault_of_seals(seals))


def _parts(block: HeaderBlock, name: str, read: Callable[[HeaderBlock, int], _Part]) -> list[_Part]:
    """Return the fields of a name by instance; raise `SignatureError` unless these are 1 to n."""
    places = block.places(name.lower().encode())
    if len(places) > MOST_SETS:
        raise SignatureError("fail", f"there are more than {MOST_SETS} {name} fields")
    try:
        parts = sorted((read(block, place) for place in places), key=lambda one: one.instance)
    except SignatureError as error:
        raise SignatureError.of(error.fault, f"{name}: ") from None
    if [one.instance for one in parts] != list(range(1, len(parts) + 1)):
        raise SignatureError("fail", f"{name}: the instances are not 1 to {len(parts)}")
    return parts


def _fault_of_seals(seals: Sequence[Seal]) -> str:
    if seals and seals[-1].chain == "fail":
        return f"set {len(seals)} states that the chain had failed (cv=fail)"
    for seal in seals:
        expected = "none" if seal.instance == 1 else "pass"
        if seal.chain != expected:
            return f"the seal of set {seal.instance} has cv={seal.chain}, expected {expected}"
    return ""
