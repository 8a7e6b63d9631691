"""Tag lists, as signatures and key records are written: RFC 6376 section 3.2.

Values may have any characters except control characters, because RFC 8616 permits UTF-8. White
space around names and values is removed. The list is untrusted text.

Limits: MOST_TAGS. One regular expression without alternatives reads a tag, so the time is linear.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

WHITE_SPACE = " \t\r\n"
# A signature has about a dozen tags, and extensions are rare.
MOST_TAGS = 64

_TAG = re.compile(
    rf"[{WHITE_SPACE}]*([A-Za-z][A-Za-z0-9_]*)[{WHITE_SPACE}]*="
    r"([^\0-\x08\x0b\x0c\x0e-\x1f\x7f;]*)"
)
_NO_WHITE_SPACE = dict.fromkeys(map(ord, WHITE_SPACE))


class TagError(ValueError):
    """A malformed tag list or value; the text is a part of a sentence."""


def parse_tags(text: str) -> dict[str, str]:
    """Return the values by tag name, in their order; names are case-sensitive.

    Raises `TagError` for a malformed or repeated tag, or more than MOST_TAGS.
    """
    parts = text.split(";", MOST_TAGS + 1)
    if len(parts) > MOST_TAGS:
        raise TagError(f"there are more than {MOST_TAGS} tags")
    if not parts[-1].strip(WHITE_SPACE):
        parts.pop()
    tags: dict[str, str] = {}
    for part in parts:
        tag = _TAG.fullmatch(part)
        if tag is None:
            raise TagError(f"expected a tag, found {part.strip()[:40]!r}")
        name = tag[1]
        if name in tags:
            raise TagError(f"the tag {name}= occurs twice")
        tags[name] = tag[2].strip(WHITE_SPACE)
    return tags


def without_white_space(text: str) -> str:
    """Return a value without blanks, tabs and line breaks."""
    return text.translate(_NO_WHITE_SPACE)


def split_list(text: str) -> list[str]:
    """Return the elements of a list that is separated by colons, without white space."""
    return without_white_space(text).split(":")


def decode_base64(text: str) -> bytes:
    """Return the octets of a base64 value that may be folded; raise `TagError`."""
    try:
        return a2b_base64(without_white_space(text), strict_mode=True)
    except (Base64Error, ValueError):
        raise TagError("is not base64") from None


def shown_base64(octets: bytes) -> str:
    """Return octets as base64 in one line."""
    return b2a_base64(octets, newline=False).decode()
