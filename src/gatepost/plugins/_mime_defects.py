"""Find the defects of a MIME part: what RFC 2045 to 2047 forbid, and readers read differently.

`DEFECTS` describes each. The defects of a message are a set of its keys.
"""

import re
from collections.abc import Iterator, Sequence

from gatepost.plugins._mime import Structure
from gatepost.plugins._mime_decoding import IDENTITY, Decoded, is_known
from gatepost.plugins._mime_fields import MAX_FIELD, has_bad_type, has_other_lines, repeats, word
from gatepost.plugins._mime_part import Part

DEFECTS = {
    "after_end": "a part behind the end of its multipart",
    "bad_encoding": "an unknown Content-Transfer-Encoding",
    "bad_header": "a line in a header that is no header field",
    "bad_type": "a malformed Content-Type",
    "bad_version": "a malformed MIME-Version",
    "base64": "malformed base64",
    "duplicate_field": "a Content field that is there twice",
    "duplicate_parameter": "a parameter that is there twice",
    "encoded_container": "a multipart or message with base64 or quoted-printable",
    "external": "a part whose content is elsewhere (message/external-body)",
    "fragment": "a fragment of a message (message/partial)",
    "long_boundary": "a boundary of more than 70 characters",
    "long_field": "a Content field that is too long",
    "no_boundary": "a multipart without a boundary",
    "no_parts": "a multipart without parts",
    "no_version": "MIME fields without MIME-Version",
    "nul": "a NUL in a text",
    "odd_boundary": "a boundary with characters that it must not have",
    "odd_delimiter": "a line that is a boundary and more",
    "quoted_printable": "malformed quoted-printable",
    "repeated_boundary": "a boundary that two multiparts have",
    "unclosed": "a multipart without its end",
    "undeclared_8bit": "octets above 127 in a part that does not declare them",
    "undeclared_utf8": "octets above 127 in a header, without SMTPUTF8",
}
# What different readers are known to read differently, so that a file can be hidden in it.
AMBIGUOUS = frozenset(
    {
        *("after_end", "bad_encoding", "bad_type", "base64", "duplicate_field", "fragment"),
        *("duplicate_parameter", "encoded_container", "no_boundary", "no_parts", "odd_delimiter"),
        *("long_field", "repeated_boundary"),
    }
)

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]")
_VERSION = re.compile(r"\s*1\s*\.\s*0\s*")
_COMMENTS = re.compile(r"\([^()]*\)")
_LONGEST_BOUNDARY = 70
_ONCE = (
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
    "mime-version",
)
_OF_ENCODINGS = {"base64": "base64", "quoted-printable": "quoted_printable"}
_SEVEN_BITS = frozenset({"", "7bit"})
# Character sets in which a NUL is a half of a character.
_WIDE = ("utf-16", "utf16", "utf-32", "utf32", "ucs-2", "iso-10646-ucs-2")


def header_defects(structure: Structure) -> set[str]:
    """Return the defects of a structure, with those in the headers of its parts."""
    defects = set(structure.defects)
    for part in structure.parts:
        _check_part(part, defects)
    if structure.parts:
        _check_root(structure.parts[0], defects)
    return defects


def _check_part(part: Part, defects: set[str]) -> None:
    """Add the defects in the header of a part."""
    defects.update(_header_defects(part))
    if part.kind.startswith("multipart/"):
        defects.update(_boundary_defects(part.parameters("content-type", "boundary")))


def _header_defects(part: Part) -> Iterator[str]:
    if has_other_lines(part.block):
        yield "bad_header"
    if not part.block.isascii():
        yield "undeclared_utf8"
    if any(len(one.value) >= MAX_FIELD for one in part.fields):
        yield "long_field"
    yield from _field_defects(part)
    if part.encoding not in IDENTITY and part.kind.startswith(("multipart/", "message/")):
        yield "encoded_container"
    if part.kind == "message/partial":
        yield "fragment"
    if part.kind == "message/external-body":
        yield "external"


def _field_defects(part: Part) -> Iterator[str]:
    if any(len({*part.all(name)}) > 1 for name in _ONCE):
        yield "duplicate_field"
    types = part.all("content-type")
    if any(map(has_bad_type, types)):
        yield "bad_type"
    if any(map(repeats, types + part.all("content-disposition"))):
        yield "duplicate_parameter"
    if not all(is_known(word(one)) for one in part.all("content-transfer-encoding")):
        yield "bad_encoding"


def _boundary_defects(boundaries: Sequence[str]) -> Iterator[str]:
    if not boundaries:
        yield "no_boundary"
    elif len(boundaries[0]) > _LONGEST_BOUNDARY:
        yield "long_boundary"
    elif not _BOUNDARY.fullmatch(boundaries[0]):
        yield "odd_boundary"


def _check_root(part: Part, defects: set[str]) -> None:
    """Add the defects of the header of the message itself."""
    versions = part.all("mime-version")
    is_mime = part.kind.startswith("multipart/") or part.all("content-transfer-encoding")
    if is_mime and not versions:
        defects.add("no_version")
    if not all(_VERSION.fullmatch(_COMMENTS.sub("", one)) for one in versions):
        defects.add("bad_version")


def defect_of(encoding: str) -> str:
    """Return the defect of a part whose transfer encoding is malformed."""
    return _OF_ENCODINGS.get(encoding, "bad_encoding")


def check_body(part: Part, decoded: Decoded, defects: set[str]) -> None:
    """Add the defects in the body of a part, as it is and decoded."""
    if decoded.is_malformed:
        defects.add(defect_of(part.encoding))
    if part.encoding in _SEVEN_BITS and not part.is_ascii:
        defects.add("undeclared_8bit")
    is_text = part.kind.startswith("text/") and not part.charset.startswith(_WIDE)
    if is_text and b"\0" in decoded.octets:
        defects.add("nul")
