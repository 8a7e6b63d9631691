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
    digest = sha256(signed_fields(block, signature.names, form))
    own = without_signature(block.fields[signature.place])
    digest.update(relaxed_field(own) if form == "relaxed" else own)
    return digest.digest()


def signed_fields(block: HeaderBlock, names: Sequence[bytes], form: str) -> bytes:
    """Return the fields that h= names in canonical form, each with its CRLF."""
    return b"".join([block.canonical(place, form) for place in _signed(block, names)])


def _signed(block: HeaderBlock, names: Sequence[bytes]) -> Iterator[int]:
    left: dict[bytes, int] = {}
    for name in names:
        places = block.places(name)
        count = left.get(name, len(places))
        if count:
            left[name] = count - 1
            yield places[count - 1]
