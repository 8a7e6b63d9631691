"""Read a plain header field without parsing the header block.

A plain field has a colon right behind its name, and its value in the same line, as most fields
have. Reading it takes a fraction of the time of the patterns for all forms.
"""

from typing import Final

_COLON: Final = 0x3A
_BLANK: Final = 0x20
_TAB: Final = 0x09


def plain_value(block: bytes, start: int) -> bytes | None:
    """Return the value of the field whose name ends at `start`; None if the field is not plain.

    A field without CRLF at its end counts as not plain: it may go on.
    """
    if start >= len(block) or block[start] != _COLON:
        return None
    end = block.find(b"\r\n", start)
    if end < 0 or _is_blank(block, end + 2):
        return None
    return block[start + 1 : end]


def _is_blank(block: bytes, at: int) -> bool:
    if at >= len(block):
        return False
    octet = block[at]
    return octet in (_BLANK, _TAB)
