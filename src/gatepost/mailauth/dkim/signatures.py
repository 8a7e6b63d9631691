"""The signatures of a message, and which of them are verified: RFC 6376 section 6.1.

A sender can add any number of signatures, and each one costs a question to the DNS. So only
MOST_VERIFIED are verified, those of preferred domains first. MOST_READ are read at all.
"""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from gatepost.mailauth.dkim.domains import is_within
from gatepost.mailauth.dkim.fault import Fault
from gatepost.mailauth.dkim.header_block import HeaderBlock
from gatepost.mailauth.dkim.signature import Signature, read_signature

MOST_VERIFIED = 5
MOST_READ = 25
_NAME = b"dkim-signature"
_ONE_TOO_MANY = Fault("policy", f"not verified: there are more than {MOST_VERIFIED} signatures")


def read_signatures(
    header_block: bytes | HeaderBlock, prefer: Collection[str] = ()
) -> list[Signature]:
    """Return the DKIM signatures of a message, those to be verified first.

    `prefer` are domains in lower case and A-labels, such as that of the From field. Their
    signatures come first, then those of their parents and subdomains, then the others from top to
    bottom. Signatures with a fault are last. Fields behind the first MOST_READ are ignored.
    """
    block = HeaderBlock.of(header_block)
    read = [read_signature(block, place) for place in block.places(_NAME)[:MOST_READ]]
    usable = sorted(
        (one for one in read if one.fault is None), key=lambda one: _distance(one.domain, prefer)
    )
    return [
        *usable[:MOST_VERIFIED],
        *(replace(one, fault=_ONE_TOO_MANY) for one in usable[MOST_VERIFIED:]),
        *(one for one in read if one.fault is not None),
    ]


def _distance(domain: str, prefer: Iterable[str]) -> int:
    """Return 0 for a preferred domain, 1 for its parents and subdomains, 2 for others."""
    if domain in prefer:
        return 0
    related = any(is_within(domain, one) or is_within(one, domain) for one in prefer)
    return 1 if related else 2
