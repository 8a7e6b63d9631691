"""The hash of the header fields that a signature covers: RFC 6376 sections 3.7 and 5.4.2.

Fields of one name are taken from the bottom. A name that occurs more often than its field stands
for the absence of another one, so a field that is added later invalidates the signature.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from gatepost.mailauth.dkim.header_block import HeaderBlock, relaxed_field
from gatepost.mailauth.dkim.signature import Signature, without_signature


def header_hash(block: HeaderBlock, signature: Signature) -> bytes:
    """Return the SHA-256 digest that the b= value of a signature signs."""
    form = signature.header_canonicalization
    digest = sha256(signed_fields(block, signature.names, form, signature.place))
    own = without_signature(block.fields[signature.place])
    digest.update(relaxed_field(own) if form == "relaxed" else own)
    return digest.digest()


def signed_fields(
    block: HeaderBlock, names: Sequence[bytes], form: str, own: int | None = None
) -> bytes:
    """Return the fields that h= names in canonical form, each with its CRLF.

    `own` is the place of the signature itself, which was not there when it was made.
    """
    return b"".join([block.canonical(place, form) for place in _signed(block, names, own)])


def _signed(block: HeaderBlock, names: Sequence[bytes], own: int | None) -> Iterator[int]:
    left: dict[bytes, list[int]] = {}
    for name in names:
        if name not in left:
            left[name] = [place for place in block.places(name) if place != own]
        if left[name]:
            yield left[name].pop()
