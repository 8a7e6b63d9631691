"""Read the header fields of a MIME part and their parameters, tolerantly (RFC 2045, 2047, 2231).

Programs that show mail read malformed fields in different ways, and a file name can be hidden in
what one of them does not read. So `values` returns each value that some reader could take for a
parameter: duplicates, continuations, comments, missing quotes and semicolons, encoded words.

Trusts: nothing. Each step takes linear time. Limits: of a field, the first MAX_FIELD octets.
"""

import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_FIELD = 4096

# Not all codecs of Python take linear time.
_CODECS = re.compile(
    r"us-ascii|utf-?(?:7|8|16|32)(?:[bl]e|-[bl]e)?|iso-?8859-\d+|windows-12\d\d|koi8-[ru]|gb\w+"
    r"|big5|euc-(?:jp|kr)|shift_jis|iso-2022-(?:jp|kr)|tis-620",
    re.IGNORECASE,
)
_MIME = re.compile(
    rb"^(content-[!-9;-~]+|mime-version)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_NO_FIELD = re.compile(rb"^(?![ \t]|[!-9;-~]+[ \t]*:|\r?$)", re.MULTILINE)
# The name and the value of a parameter. The last two branches are for what is none.
_PARAMETER = r"""\(  [^()"]* \)?
    | (?P<name> [^\s;="()]+ ) \s* = \s* (?: %s )
    | [^\s;="()]+
    | ."""
_QUOTED = r""" "(?P<quoted> (?: [^"\\] | \\. )* ) (?: " | \\? \Z ) | (?P<plain> [^;]* )"""
_PARAMETERS = re.compile(_PARAMETER % _QUOTED, re.VERBOSE | re.DOTALL)
# For readers that end a value at a blank, and do not need semicolons.
_WORDS = re.compile(_PARAMETER % r'(?P<plain> [^\s;"]* )', re.VERBOSE | re.DOTALL)
_READERS = (_PARAMETERS, _WORDS)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")
_WORD_OF_TYPE = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
_TYPE = re.compile(rf"({_WORD_OF_TYPE})[ \t]*/[ \t]*({_WORD_OF_TYPE})")
_STRICT_TYPE = re.compile(rf"{_WORD_OF_TYPE}/{_WORD_OF_TYPE}")


class Field(NamedTuple):
    """A header field: its name in lower case, its value in one line."""

    name: str
    value: str


def read_fields(block: bytes) -> list[Field]:
    """Return the Content fields and the MIME-Version of a header block."""
    return [Field(_text(one[1]).lower(), _unfolded(one[2])) for one in _MIME.finditer(block)]


def has_other_lines(block: bytes) -> bool:
    """Return whether a header block has lines that are no header fields."""
    return block[:1] in (b" ", b"\t") or _NO_FIELD.search(block) is not None


def _unfolded(value: bytes) -> str:
    return _text(value.replace(b"\r", b"").replace(b"\n", b"").strip())


def _text(octets: bytes) -> str:
    octets = octets[:MAX_FIELD]
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def media_type(value: str) -> str:
    """Return the type of a Content-Type field in lower case, "" if it has none."""
    found = _TYPE.match(_COMMENT.sub("", value).lstrip())
    return f"{found[1]}/{found[2]}".lower() if found else ""


def has_bad_type(value: str) -> bool:
    """Return whether a Content-Type field does not begin with a type, or a type and parameters."""
    return not _STRICT_TYPE.fullmatch(_COMMENT.sub("", value.partition(";")[0]).strip())


def word(value: str) -> str:
    """Return the first word of a field such as Content-Transfer-Encoding in lower case."""
    return _COMMENT.sub("", value).partition(";")[0].strip().strip('"').lower()


def values(value: str, *names: str) -> list[str]:
    """Return all values that a parameter of these names can have, each once, the first one first.

    The values of continuations (RFC 2231) are joined, encoded words are decoded.
    """
    found: dict[str, None] = {}
    folded = value.lower()
    for name in (one for one in names if one in folded):
        sections = [one for one in _sections(value) if one.name == name]
        found |= dict.fromkeys(decoded_words(one.value) for one in sections if one.number < 0)
        for reader in range(len(_READERS)):
            parts = [one for one in sections if one.number >= 0 and one.reader == reader]
            found |= dict.fromkeys(map(_joined, _orders(parts)))
    found.pop("", None)
    return list(found)


def repeats(value: str) -> bool:
    """Return whether a parameter is there twice, with different values."""
    seen: dict[str, str] = {}
    for token in _PARAMETERS.finditer(value):
        if token["name"]:
            text = next(_texts(token.groupdict()))
            if seen.setdefault(token["name"].lower(), text) != text:
                return True
    return False


class _Section(NamedTuple):
    """A parameter as one of the readers sees it, or a part of one; without a number it is -1."""

    reader: int
    name: str
    number: int
    is_encoded: bool
    value: str


def _orders(parts: list[_Section]) -> Iterator[list[_Section]]:
    """Yield continuations as readers order them: of two with a number they take one, or both."""
    first = {one.number: one for one in reversed(parts)}
    last = {one.number: one for one in parts}
    yield [first[number] for number in sorted(first)]
    yield [last[number] for number in sorted(last)]
    yield parts


# The parameters of one field are read several times in a row.
@lru_cache(16)
def _sections(value: str) -> tuple[_Section, ...]:
    return tuple(_parameters(value))


def _parameters(value: str) -> Iterator[_Section]:
    for reader, pattern in enumerate(_READERS):
        for token in pattern.finditer(value):
            section = _SECTION.fullmatch(token["name"].lower()) if token["name"] else None
            if section is not None:
                yield from _readings(reader, section, token)


def _readings(reader: int, section: re.Match[str], token: re.Match[str]) -> Iterator[_Section]:
    """Yield what readers take for the value: some remove comments."""
    name, number, encoded = section[1], int(section[2] or -1), bool(section[3])
    texts = list(dict.fromkeys(_texts(token.groupdict())))
    if number >= 0:
        yield _Section(reader, name, number, encoded, texts[0])
        return
    for text in texts:
        if encoded:
            yield _Section(reader, name, number, encoded, _from_percent(text))
        yield _Section(reader, name, number, encoded, text)


def _texts(groups: dict[str, str | None]) -> Iterator[str]:
    quoted = groups.get("quoted")
    if quoted is not None:
        yield _ESCAPE.sub(r"\1", quoted)
        yield quoted
        return
    plain = (groups["plain"] or "").strip()
    yield plain.strip('"')
    yield _COMMENT.sub("", plain).strip()


def _joined(parts: list[_Section]) -> str:
    text = "".join(one.value for one in parts)
    return _from_percent(text) if any(one.is_encoded for one in parts) else decoded_words(text)


def _from_percent(text: str) -> str:
    """Decode an extended value: charset, language, and %-encoded octets (RFC 2231 section 4)."""
    charset, quote, rest = text.partition("'")
    octets = unquote_to_bytes(rest.partition("'")[2] if "'" in rest and quote else text)
    return as_text(octets, charset if "'" in rest else "")


def decoded_words(text: str) -> str:
    """Return a text with its encoded words decoded (RFC 2047), also where they are forbidden."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decoded_word, _BETWEEN_WORDS.sub("", text))


def _decoded_word(found: re.Match[str]) -> str:
    charset, encoding, text = found[1].partition("*")[0], found[2].lower(), found[3]
    octets = text.encode("utf-8", "replace")
    if encoding == "q":
        return as_text(binascii.a2b_qp(octets, header=True), charset)
    octets = re.sub(rb"[^A-Za-z0-9+/]", b"", octets)
    octets = octets[: len(octets) - (len(octets) % 4 == 1)]
    return as_text(binascii.a2b_base64(octets + b"=" * (-len(octets) % 4)), charset)


def as_text(octets: bytes, charset: str) -> str:
    """Decode a text; an unknown character set is taken for UTF-8."""
    codec = charset if _CODECS.fullmatch(charset) else "utf-8"
    try:
        return octets.decode(codec, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")
