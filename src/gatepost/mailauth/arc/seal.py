"""The fields of one ARC set: RFC 8617 section 4.1.

A message signature is read as a DKIM signature is. With l= it is refused: RFC 8617 has no use for
it, and octets behind the signed ones would be anyone's.
"""

import re

import msgspec
from msgspec.structs import replace

from gatepost.mailauth.dkim import values
from gatepost.mailauth.dkim.domains import key_name, selector, signing_domain
from gatepost.mailauth.dkim.fault import SignatureError
from gatepost.mailauth.dkim.header_block import HeaderBlock
from gatepost.mailauth.dkim.signature import Kind, Signature, read_signature, read_tags

# RFC 8617 section 4.2.1.
MOST_SETS = 50

_MESSAGE_SIGNATURE = Kind(
    ("i", "a", "b", "bh", "d", "h", "s"),
    # RFC 8617 has no default of its own. The suite and other implementations have this one.
    forms="relaxed/relaxed",
    may_not_sign=(b"arc-seal",),
)
_SEAL = ("i", "a", "b", "cv", "d", "s")
_INSTANCE = re.compile("[0-9]{1,2}")
_RESULTS = re.compile(r"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*")


class Seal(msgspec.Struct, frozen=True):
    """An ARC-Seal: `chain` is cv=, "none", "pass" or "fail"."""

    place: int
    instance: int
    chain: str
    domain: str
    selector: str
    algorithm: str
    octets: bytes

    @property
    def key_name(self) -> str:
        """The name of the key record in the DNS."""
        return f"{self.selector}._domainkey.{self.domain}"


class Message(msgspec.Struct, frozen=True):
    """An ARC-Message-Signature."""

    instance: int
    signature: Signature


class Results(msgspec.Struct, frozen=True):
    """An ARC-Authentication-Results field: `text` is what follows its instance, unfolded."""

    place: int
    instance: int
    text: str


def read_seal(block: HeaderBlock, place: int) -> Seal:
    """Return the ARC-Seal in a field; raise `SignatureError`."""
    tags = read_tags(block.value(place))
    values.require(tags, _SEAL)
    if "h" in tags:
        raise SignatureError("fail", "the tag h= is not permitted")
    if tags["cv"] not in ("none", "pass", "fail"):
        raise SignatureError("fail", f"the cv= value {tags['cv'][:20]!r} is not defined")
    values.times(tags)
    seal = Seal(
        place,
        instance=_instance(tags["i"]),
        chain=tags["cv"],
        domain=signing_domain(tags["d"]),
        selector=selector(tags["s"]),
        algorithm=values.algorithm(tags),
        octets=values.octets(tags, "b"),
    )
    key_name(seal.selector, seal.domain)
    return seal


def read_message(block: HeaderBlock, place: int) -> Message:
    """Return the ARC-Message-Signature in a field; raise `SignatureError` without an instance."""
    instance = _instance(read_tags(block.value(place)).get("i", ""))
    signature = read_signature(block, place, _MESSAGE_SIGNATURE)
    if signature.length is not None:
        fault = SignatureError("policy", "the tag l= is not accepted").fault
        signature = replace(signature, fault=fault)
    return Message(instance, signature)


def read_results(block: HeaderBlock, place: int) -> Results:
    """Return the ARC-Authentication-Results in a field; raise `SignatureError`."""
    text = block.value(place).decode("utf-8", "replace")
    head, _, rest = text.partition(";")
    found = _RESULTS.fullmatch(head)
    if found is None:
        raise SignatureError("fail", "the tag i= is not the first one")
    return Results(place, _instance(found[1]), rest.replace("\r\n", "").strip())


def _instance(text: str) -> int:
    if not _INSTANCE.fullmatch(text) or not 1 <= int(text) <= MOST_SETS:
        raise SignatureError("fail", f"i= is not a number from 1 to {MOST_SETS}: {text[:20]!r}")
    return int(text)
