"""Find the defects of a MIME part: what RFC 2045 to 2047 forbid, and readers read differently.

`DEFECTS` describes each. A defect of a message is a key of `Defects`, with a detail or "".
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from gatepost.plugins._mime_decoding import IDENTITY, Decoded, is_known
from gatepost.plugins._mime_fields import MAX_FIELD, Field, has_bad_type, repeats, word

Defects = dict[str, str]

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
_CHECKED = frozenset(_ONCE)
_OF_ENCODINGS = {"base64": "base64", "quoted-printable": "quoted_printable"}
_SEVEN_BITS = frozenset({"", "7bit"})
# Character sets in which a NUL is a half of a character.
_WIDE = ("utf-16", "utf16", "utf-32", "utf32", "ucs-2", "iso-10646-ucs-2")


class AnyPart(Protocol):
    """A part, as far as its header goes."""

    @property
    def fields(self) -> Sequence[Field]: ...
    @property
    def kind(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def charset(self) -> str: ...
    @property
    def is_malformed(self) -> bool: ...
    @property
    def is_ascii(self) -> bool: ...

    def all(self, name: str) -> list[str]: ...
    def parameters(self, name: str, *parameters: str) -> list[str]: ...


def check_part(part: AnyPart, defects: Defects) -> None:
    """Add the defects in the header of a part."""
    for defect in _header_defects(part):
        defects.setdefault(defect, "")
    if part.kind.startswith("multipart/"):
        for defect in _boundary_defects(part.parameters("content-type", "boundary")):
            defects.setdefault(defect, "")


def _header_defects(part: AnyPart) -> Iterator[str]:
    if part.is_malformed:
        yield "bad_header"
    if not all(one.value.isascii() for one in part.fields):
        yield "undeclared_utf8"
    if any(len(one.value) >= MAX_FIELD for one in part.fields if one.name in _CHECKED):
        yield "long_field"
    yield from _field_defects(part)
    if part.encoding not in IDENTITY and part.kind.startswith(("multipart/", "message/")):
        yield "encoded_container"
    if part.kind == "message/partial":
        yield "fragment"
    if part.kind == "message/external-body":
        yield "external"


def _field_defects(part: AnyPart) -> Iterator[str]:
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


def check_root(fields: Sequence[Field], kind: str, defects: Defects) -> None:
    """Add the defects of the header of the message itself."""
    names = {one.name for one in fields}
    versions = [one.value for one in fields if one.name == "mime-version"]
    if not versions and (kind.startswith("multipart/") or "content-transfer-encoding" in names):
        defects["no_version"] = ""
    if not all(_VERSION.fullmatch(_COMMENTS.sub("", one)) for one in versions):
        defects["bad_version"] = ""


def defect_of(encoding: str) -> str:
    """Return the defect of a part whose transfer encoding is malformed."""
    return _OF_ENCODINGS.get(encoding, "bad_encoding")


def check_body(part: AnyPart, decoded: Decoded, defects: Defects) -> None:
    """Add the defects in the body of a part, as it is and decoded."""
    if decoded.is_malformed:
        defects.setdefault(defect_of(part.encoding), "")
    if part.encoding in _SEVEN_BITS and not part.is_ascii:
        defects.setdefault("undeclared_8bit", "")
    is_text = part.kind.startswith("text/") and not part.charset.startswith(_WIDE)
    if is_text and b"\0" in decoded.octets:
        defects.setdefault("nul", "")
