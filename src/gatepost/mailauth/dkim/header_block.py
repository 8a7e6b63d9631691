"""The header block of a message for signatures: its fields in their original octets, RFC 6376 s3.4.

The block is split once, and all signatures of a message share the fields and their canonical forms.
Only CRLF ends a line. The block ends at its first empty line. A line that is no field is kept as a
field without a name, which no signature can cover.

The octets are untrusted. The time is linear in their number.
"""

import re
from collections.abc import Sequence

# The end of a field: a line break that no continuation line follows.
_END = re.compile(rb"\r\n(?![ \t])")
_BLANKS = b" \t"


class HeaderBlock:
    """A header block as octets; it may end with or without the empty line.

    `fields` are the fields from top to bottom, without their final CRLF.
    """

    __slots__ = ("_places", "_relaxed", "fields")

    def __init__(self, octets: bytes) -> None:
        block = b"" if octets[:2] == b"\r\n" else octets.partition(b"\r\n\r\n")[0]
        self.fields: list[bytes] = [field for field in _END.split(block) if field]
        self._places: dict[bytes, list[int]] = {}
        self._relaxed: dict[int, bytes] = {}
        for place, field in enumerate(self.fields):
            name, colon, _ = field.partition(b":")
            if colon:
                self._places.setdefault(name.rstrip(_BLANKS).lower(), []).append(place)

    @classmethod
    def of(cls, block: "bytes | HeaderBlock") -> "HeaderBlock":
        """Return the block itself if it is split already."""
        return cls(block) if isinstance(block, bytes) else block

    def places(self, name: bytes) -> Sequence[int]:
        """Return the places in `fields` of a name in lower case, from top to bottom."""
        return self._places.get(name, ())

    def value(self, place: int) -> bytes:
        """Return the octets behind the colon of a field."""
        return self.fields[place].partition(b":")[2]

    def canonical(self, place: int, canonicalization: str) -> bytes:
        """Return the field in the form that is signed, with its final CRLF."""
        if canonicalization == "simple":
            return self.fields[place] + b"\r\n"
        known = self._relaxed.get(place)
        if known is None:
            known = self._relaxed[place] = relaxed_field(self.fields[place]) + b"\r\n"
        return known


def relaxed_field(field: bytes) -> bytes:
    """Return a field in relaxed form, without CRLF: RFC 6376 section 3.4.2."""
    name, _, value = field.partition(b":")
    words = value.replace(b"\r\n", b"").replace(b"\t", b" ").split(b" ")
    return name.rstrip(_BLANKS).lower() + b":" + b" ".join(filter(None, words))
