"""List the attached files of a TNEF file, which Outlook names winmail.dat ([MS-OXTNEF]).

Each attribute has a level, an id, a length, its data and a checksum. The title of an attached file
is an attribute of its own; its long name is among the MAPI properties, which are searched for it.

Trusts: nothing. It takes linear time.
"""

import struct
from collections.abc import Iterator

from gatepost.plugins._unpacking import BrokenError, Budget, Member

MAGIC = b"\x78\x9f\x3e\x22"
_ATTRIBUTE = struct.Struct("<BLL")
_TITLE, _DATA, _PROPERTIES = 0x00018010, 0x0006800F, 0x00069005
# The properties with a name: the long and the short name of the file, and what is shown.
_NAMES = (0x3707, 0x3704, 0x3001)
_TEXTS = ((0x001E, "latin-1"), (0x001F, "utf-16-le"))
_MAX_NAME = 2000


def tnef_members(content: bytes, budget: Budget) -> Iterator[Member]:
    """Yield the names of attached files, and their contents under no name.

    Raises `BrokenError` and `BombError`.
    """
    at = 6
    while at < len(content):
        if len(content) < at + _ATTRIBUTE.size:
            raise BrokenError("an attribute is damaged")
        budget.entry()
        _, key, size = _ATTRIBUTE.unpack_from(content, at)
        start = at + _ATTRIBUTE.size
        data = content[start : start + size]
        if len(data) < size:
            raise BrokenError("an attribute is damaged")
        yield from _members(key, data, budget)
        at = start + size + 2


def _members(key: int, data: bytes, budget: Budget) -> Iterator[Member]:
    if key == _TITLE:
        yield Member(data.rstrip(b"\0").decode("latin-1"))
    elif key == _PROPERTIES:
        yield from map(Member, _names(data))
    elif key == _DATA:
        budget.unpack(len(data))
        yield Member("", head=lambda: data, read=lambda: data)


def _names(data: bytes) -> Iterator[str]:
    for name in _NAMES:
        for kind, codec in _TEXTS:
            found = data.find(struct.pack("<HHL", kind, name, 1))
            if found >= 0:
                yield _text(data, found + 8).decode(codec, "replace").rstrip("\0")


def _text(data: bytes, at: int) -> bytes:
    size = int.from_bytes(data[at : at + 4], "little")
    return data[at + 4 : at + 4 + min(size, _MAX_NAME)]
