"""One signature of a message, read from its field: RFC 6376 section 3.5, RFC 8617 section 4.1.2.

A DKIM-Signature and an ARC-Message-Signature have almost the same tags, so one reader reads both.

Limits: a field of LONGEST octets.
"""

import re
from contextlib import suppress
from typing import Any, NamedTuple

from gatepost.mailauth.dkim import values
from gatepost.mailauth.dkim.domains import key_name, selector, signing_domain
from gatepost.mailauth.dkim.fault import Fault, SignatureError
from gatepost.mailauth.dkim.header_block import HeaderBlock
from gatepost.mailauth.dkim.tags import TagError, parse_tags
from gatepost.model.structs import Frozen

LONGEST = 32_768

# The value of b= with the white space around it. Each white space has one way to match.
_B = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
# RFC 6376 section 3.5: the names of algorithms.
_ALGORITHM = re.compile("[A-Za-z0-9-]{1,30}")


class Kind(NamedTuple):
    """A kind of signature: its tags, the default of c=, the fields it must and may not sign."""

    required: tuple[str, ...]
    forms: str = "simple/simple"
    must_sign: tuple[bytes, ...] = ()
    may_not_sign: tuple[bytes, ...] = ()


DKIM = Kind(("v", "a", "b", "bh", "d", "h", "s"), must_sign=(b"from",))


class Signature(Frozen, frozen=True):
    """A signature. With a `fault` it cannot pass, and other attributes may have no value.

    `place` is the place of its field in the header block. `domain` (d=), `selector` and the domain
    of `identity` (i=) are in lower case and A-labels. `names` are the signed fields in lower case,
    `length` is l=. `signed_at` and `expires` are Unix times.
    """

    place: int
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    header_canonicalization: str = "simple"
    body_canonicalization: str = "simple"
    names: tuple[bytes, ...] = ()
    body_hash: bytes = b""
    octets: bytes = b""
    length: int | None = None
    signed_at: int | None = None
    expires: int | None = None
    fault: Fault | None = None

    @property
    def key_name(self) -> str:
        """The name of the key record in the DNS."""
        return f"{self.selector}._domainkey.{self.domain}"


def read_signature(block: HeaderBlock, place: int, kind: Kind = DKIM) -> Signature:
    """Return the signature in a field; if it cannot be verified, it has a `fault`."""
    tags: dict[str, str] = {}
    try:
        tags = read_tags(block.value(place))
        return _signature(tags, place, kind)
    except SignatureError as error:
        return _described(tags, place, error.fault)


def read_tags(value: bytes) -> dict[str, str]:
    """Return the tags in the value of a field; raise `SignatureError`."""
    if len(value) > LONGEST:
        raise SignatureError("policy", f"the signature has more than {LONGEST} octets")
    try:
        return parse_tags(value.decode())
    except UnicodeDecodeError:
        raise SignatureError("neutral", "the signature is not UTF-8") from None
    except TagError as error:
        raise SignatureError("neutral", f"the signature is malformed: {error}") from None


def _signature(tags: dict[str, str], place: int, kind: Kind) -> Signature:
    values.require(tags, kind.required)
    if "v" in kind.required and tags["v"] != "1":
        raise SignatureError("neutral", f"the version {tags['v'][:20]!r} is not supported")
    domain, algorithm = signing_domain(tags["d"]), values.algorithm(tags)
    header, body = values.forms(tags, kind.forms)
    values.require_dns(tags)
    signed_at, expires = values.times(tags)
    signature = Signature(
        place=place,
        domain=domain,
        selector=selector(tags["s"]),
        identity=values.identity(tags, domain) if "v" in kind.required else "",
        algorithm=algorithm,
        header_canonicalization=header,
        body_canonicalization=body,
        names=_signed_names(tags, kind),
        body_hash=values.octets(tags, "bh"),
        octets=values.octets(tags, "b"),
        length=values.number(tags, "l"),
        signed_at=signed_at,
        expires=expires,
    )
    key_name(signature.selector, domain)
    return signature


def _signed_names(tags: dict[str, str], kind: Kind) -> tuple[bytes, ...]:
    names = values.names(tags)
    for name in kind.must_sign:
        if name not in names:
            raise SignatureError("permerror", f"{name.decode().title()} is not signed (h=)")
    for name in kind.may_not_sign:
        if name in names:
            raise SignatureError("permerror", f"{name.decode().title()} is signed (h=)")
    return names


def _described(tags: dict[str, str], place: int, fault: Fault) -> Signature:
    """Return a signature with a fault, and what can be reported about it."""
    named = _ALGORITHM.fullmatch(tags.get("a", ""))
    found: dict[str, Any] = {}
    with suppress(SignatureError, KeyError):
        found["octets"] = values.octets(tags, "b")
    with suppress(SignatureError, KeyError):
        found["selector"] = selector(tags["s"])
    with suppress(SignatureError, KeyError):
        found["domain"] = signing_domain(tags["d"])
    return Signature(place, algorithm=named[0] if named else "", fault=fault, **found)


def without_signature(field: bytes) -> bytes:
    """Return a field whose b= is empty, as it is signed: RFC 6376 section 3.7."""
    name, colon, value = field.partition(b":")
    return name + colon + _B.sub(rb"\1", value, count=1)
