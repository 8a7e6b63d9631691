"""The packets of the milter protocol: a length of four octets, a command, its data.

Security: strings of the mail server may contain what its clients have sent. Characters that are not
printable become `?`, so that they cannot break a log line. Content has other rules, see
`gatepost.wire.milter.content`.
Limits: MAX_PACKET octets of a packet. Only a packet that is incomplete is kept longer than a turn.
"""

import struct
from collections.abc import Mapping
from typing import Final

from gatepost.wire.milter.codes import MAX_MACROS, MAX_PACKET

_LENGTH: Final = 4
_NUMBER: Final = struct.Struct("!I")


class PacketError(ValueError):
    """The data of a packet is malformed; the message gives the reason."""


class PacketBuffer:
    """The octets of a mail server, cut into packets."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, data: bytes) -> None:
        """Append octets."""
        self._data += data

    @property
    def unread(self) -> int:
        """Return the number of octets that can be read now: none of an incomplete packet."""
        return 0 if self._end() > len(self._data) else len(self._data)

    def _end(self) -> int:
        """Return the number of octets up to the end of the first packet, if it is known."""
        if len(self._data) < _LENGTH:
            return _LENGTH + 1
        (size,) = _NUMBER.unpack_from(self._data)
        return _LENGTH + int(size)

    def next(self) -> bytes | None:
        """Return the command and data of the next packet, None if it is incomplete.

        Raises `PacketError` if it is too large or empty.
        """
        end = self._end()
        if end == _LENGTH or end > MAX_PACKET:
            raise PacketError(f"expected a packet of 1 to {MAX_PACKET} octets")
        if end > len(self._data):
            return None
        packet = bytes(self._data[_LENGTH:end])
        del self._data[:end]
        return packet


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Return a packet."""
    return _NUMBER.pack(len(data) + 1) + command + data


def numbers(data: bytes, count: int) -> list[int]:
    """Return the first numbers of a packet's data; raises `PacketError` if there are fewer."""
    if len(data) < count * _LENGTH:
        raise PacketError(f"expected {count} numbers")
    return [number for (number,) in _NUMBER.iter_unpack(data[: count * _LENGTH])]


def number(value: int) -> bytes:
    """Return a number as data."""
    return _NUMBER.pack(value)


def strings(data: bytes) -> list[str]:
    """Return strings that each end with NUL, at least one; raises `PacketError`."""
    if not data.endswith(b"\0"):
        raise PacketError("expected a string that ends with NUL")
    return [text(one) for one in data[:-1].split(b"\0")]


def text(data: bytes) -> str:
    """Return a string of the mail server as printable text."""
    found = data.decode("utf-8", "replace")
    if found.isprintable():
        return found
    return "".join(char if char.isprintable() else "?" for char in found)


def macros(data: bytes) -> Mapping[str, str]:
    """Return macros by name, without braces; raises `PacketError`."""
    if len(data) > MAX_MACROS:
        raise PacketError(f"expected macros of at most {MAX_MACROS} octets")
    found = strings(data) if data else []
    if len(found) % 2:
        raise PacketError("expected a value for each macro")
    names = (name.removeprefix("{").removesuffix("}") for name in found[::2])
    return dict(zip(names, found[1::2], strict=True))
