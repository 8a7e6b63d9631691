"""Ask one name server one question, to find out whether it answers and checks DNSSEC signatures.

The question is for the NS records of the root, which are signed and in the cache of each resolver.
It has the bit AD, so a resolver that checks signatures sets this bit in the answer (RFC 6840
section 5.7). Blocking I/O.

Security: the answer is not authenticated. Only its header is read.
Limits: ATTEMPTS datagrams, each with WAIT seconds.
"""

import importlib
import socket
import struct
from contextlib import suppress
from secrets import randbelow
from typing import Any, NamedTuple

ATTEMPTS = 2
WAIT = 1.0

_NS, _IN = 2, 1
_RECURSION, _AUTHENTIC, _RESPONSE, _CODE = 0x0100, 0x0020, 0x8000, 0x000F
_HEADER = struct.Struct("!HHHHHH")
_LARGEST = 4096


class Probe(NamedTuple):
    """The behaviour of a name server; with `validates` it checks DNSSEC signatures.

    `code` is that of its answer (RFC 1035 section 4.1.1: 0 is success), None without an answer.
    """

    code: int | None
    validates: bool = False

    @property
    def works(self) -> bool:
        """The success of the question."""
        return self.code == 0


def system_servers() -> list[str]:
    """Return the name servers of this system, such as "127.0.0.1:53", [] if it has none."""
    pycares: Any = importlib.import_module("pycares")
    with suppress(pycares.AresError):
        channel = pycares.Channel()
        try:
            return [one for one in channel.servers if one]
        finally:
            channel.close()
    return []


def host_of(server: str) -> str:
    """Return the IP address of a name server such as "192.0.2.1:53" or "[2001:db8::1]:53"."""
    return server.rpartition(":")[0].strip("[]")


def probe(server: str, name: str = "") -> Probe:
    """Ask a name server for the NS records of a name, by default the root."""
    number = randbelow(1 << 16)
    question = _HEADER.pack(number, _RECURSION | _AUTHENTIC, 1, 0, 0, 0) + _question(name)
    flags = _ask(server, question, number)
    if flags is None:
        return Probe(None)
    return Probe(flags & _CODE, bool(flags & _AUTHENTIC))


def _question(name: str) -> bytes:
    labels = [one.encode("ascii") for one in name.split(".") if one]
    wire = b"".join(bytes([len(one)]) + one for one in labels)
    return wire + struct.pack("!BHH", 0, _NS, _IN)


def _ask(server: str, question: bytes, number: int) -> int | None:
    """Return the flags of the answer, None without one."""
    host, port = host_of(server), server.rpartition(":")[2]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError, ValueError), socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(WAIT)
        client.connect((host, int(port)))
        for _ in range(ATTEMPTS):
            client.send(question)
            with suppress(TimeoutError):
                return read_flags(client.recv(_LARGEST), number)
    return None


def read_flags(data: bytes, number: int) -> int | None:
    """Return the flags of an answer to the question with this number, None for other data."""
    if len(data) < _HEADER.size:
        return None
    found, flags, *_ = _HEADER.unpack_from(data)
    return flags if found == number and flags & _RESPONSE else None
