"""Find the type of a file by its content, as the extension that such a file usually has.

The table has what matters to a policy: programs, and what starts them. For other types puremagic is
asked; its answer counts only if all of its best candidates are forbidden, because many types share
their first octets: those of a Word document are also those of an installer.
"""

import importlib
from collections.abc import Callable, Container
from typing import Any, NamedTuple

LIBRARY = "puremagic"
# The octets of a file that are examined: a descriptor of a disk image is behind 32 KiB.
HEAD = 40 * 1024
# puremagic's confidence for four equal octets.
_CONFIDENT = 0.4
_GUESSED = 4096
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_INSTALLER = bytes.fromhex("84100c0000000000c000000000000046")
_DISK = (b"CD001", b"BEA01", b"NSR02", b"NSR03")


class _Magic(NamedTuple):
    """The octets at an offset."""

    extension: str
    octets: bytes
    offset: int = 0


_TABLE = (
    _Magic("lnk", b"L\x00\x00\x00\x01\x14\x02\x00"),
    _Magic("chm", b"ITSF\x03\x00\x00\x00"),
    _Magic("elf", b"\x7fELF"),
    _Magic("macho", b"\xfe\xed\xfa\xce"),
    _Magic("macho", b"\xfe\xed\xfa\xcf"),
    _Magic("macho", b"\xce\xfa\xed\xfe"),
    _Magic("macho", b"\xcf\xfa\xed\xfe"),
    _Magic("class", b"\xca\xfe\xba\xbe"),
    _Magic("dex", b"dex\n03"),
    _Magic("vhd", b"conectix"),
    _Magic("vhdx", b"vhdxfile"),
    _Magic("wim", b"MSWIM\x00\x00\x00"),
    _Magic("ace", b"**ACE**", 7),
    _Magic("sh", b"#!/"),
    _Magic("reg", b"Windows Registry Editor"),
)
# Contents that are programs whatever extensions are forbidden.
PROGRAMS = frozenset({"exe", "elf", "macho", "class", "dex"})


def _is_windows_program(head: bytes) -> bool:
    if not head.startswith(b"MZ"):
        return False
    at = int.from_bytes(head[60:64], "little")
    return head[at : at + 2] in (b"PE", b"NE", b"LE", b"LX") or b"\0" in head[2:64]


def _is_disk_image(head: bytes) -> bool:
    return any(head.startswith(_DISK, at) for at in (0x8001, 0x8801, 0x9001))


def _is_installer(head: bytes) -> bool:
    return head.startswith(_OLE) and _INSTALLER in head


_TESTS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("exe", _is_windows_program),
    ("iso", _is_disk_image),
    ("msi", _is_installer),
)


def type_of(head: bytes) -> str:
    """Return the type of a file by its first HEAD octets, "" if it is not in the table."""
    for magic in _TABLE:
        if head.startswith(magic.octets, magic.offset):
            return magic.extension
    return next((extension for extension, test in _TESTS if test(head)), "")


def forbidden_type(head: bytes, forbidden: Container[str]) -> str:
    """Return the type of a file if the table has it and it is a program or forbidden, or ""."""
    found = type_of(head)
    return found if found in forbidden or found in PROGRAMS else ""


def guessed_type(head: bytes, forbidden: Container[str]) -> str:
    """Return the type of a file that is not in the table if it is forbidden, or "".

    It takes a third of a millisecond.
    """
    guesses = [] if type_of(head) else _guesses(head[:_GUESSED])
    return guesses[0] if guesses and all(one in forbidden for one in guesses) else ""


def _guesses(head: bytes) -> list[str]:
    """Return the best candidates of puremagic."""
    library: Any = importlib.import_module(LIBRARY)
    try:
        found = library.magic_string(head)
    except (library.PureError, ValueError):
        return []
    best = max(one.confidence for one in found) if found else 0
    if best < _CONFIDENT:
        return []
    return [one.extension.lstrip(".").lower() for one in found if one.confidence == best]
