"""A name server in the test, on UDP and TCP: it answers from records, or in the way of a fault.

A fault is a function of the query and the server, which returns the octets to send, b"" for a
connection that is closed, or None for silence. `FAULTS` has them by name. Over UDP a reply of more
than 512 octets is truncated, so that the client asks again over TCP.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from typing import NamedTuple

KINDS = {1: "A", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
NUMBERS = {kind: number for number, kind in KINDS.items()}
CNAME = 5
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
TRUNCATED = 0x0200
MOST = 512


def wire_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def a(address):
    return socket.inet_aton(address)


def aaaa(address):
    return socket.inet_pton(socket.AF_INET6, address)


def mx(preference, host):
    return struct.pack("!H", preference) + wire_name(host)


def txt(text):
    """Return the data of a TXT record, in strings of 255 octets."""
    octets = text.encode()
    parts = [octets[at : at + 255] for at in range(0, len(octets), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


class Query(NamedTuple):
    """A question: its octets, the name in lower case, the number of its type, and the transport."""

    octets: bytes
    name: str
    number: int
    tcp: bool = False

    @property
    def kind(self):
        return KINDS.get(self.number)

    def reply(self, data=(), code=NOERROR, flags=0, owner=b"\xc0\x0c", number=None):
        """Return a reply with records of one owner and type, by default those of the question."""
        head = self.octets[:2] + struct.pack("!HHHHH", 0x8180 | code | flags, 1, len(data), 0, 0)
        kind = self.number if number is None else number
        records = (owner + struct.pack("!HHIH", kind, 1, 60, len(one)) + one for one in data)
        return head + self.question + b"".join(records)

    @property
    def question(self):
        return self.octets[12 : 12 + len(wire_name(self.name)) + 4]


def read_query(data, *, tcp=False):
    at, parts = 12, []
    while data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]].decode().lower())
        at += 1 + data[at]
    return Query(data, ".".join(parts), struct.unpack_from("!H", data, at + 1)[0], tcp)


def sockets():
    """Return a socket for streams and one for datagrams, with the same free port."""
    while True:
        streams = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(streams.getsockname())
        except OSError:  # a datagram socket of another program has this port
            streams.close()
            datagrams.close()
        else:
            return streams, datagrams


class NameServer(asyncio.DatagramProtocol):
    """Answers from `records`, by (name, type), and response codes `codes`, by (name, type or None).

    A name that has neither exists without records, or, with `complete`, does not exist. `answered`
    is the number of the datagram that is answered, if it is not the first. `asked` counts queries
    by name. While `gate` is not set, replies wait for it; `waiting` is set once one does.
    """

    def __init__(self, records, codes=(), answered=(), *, complete=False):
        self.records, self.codes, self.answered = records, dict(codes), dict(answered)
        self.complete = complete
        self.asked = Counter()
        self.fault = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self._tasks = set()

    @contextlib.asynccontextmanager
    async def serving(self):
        """Listen on UDP and TCP; yields the address with the port."""
        streams, datagrams = sockets()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=datagrams)
        server = await asyncio.start_server(self._stream, sock=streams)
        try:
            yield f"127.0.0.1:{streams.getsockname()[1]}"
        finally:
            self._transport.close()
            server.close()
            for task in self._tasks:
                task.cancel()

    def datagram_received(self, data, client):
        query = read_query(data)
        self.asked[query.name] += 1
        if self.asked[query.name] < self.answered.get(query.name, 1):
            return
        if self.gate.is_set():
            self._send(query, client)
        else:
            task = asyncio.get_running_loop().create_task(self._later(query, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _later(self, query, client):
        self.waiting.set()
        await self.gate.wait()
        self._send(query, client)

    def _send(self, query, client):
        reply = self._reply(query)
        if reply is not None and len(reply) > MOST:
            reply = query.reply(flags=TRUNCATED)
        if reply:
            self._transport.sendto(reply, client)

    def _reply(self, query):
        return self.usual(query) if self.fault is None else self.fault(query, self)

    def data(self, query):
        return self.records.get((query.name, query.kind), ())

    def usual(self, query):
        key, data = (query.name, query.kind), self.data(query)
        code = self.codes.get(key) or self.codes.get((query.name, None)) or NOERROR
        if self.complete and not data and not any(name == query.name for name, _ in self.records):
            code = code or NXDOMAIN
        return query.reply(data, code)

    async def _stream(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            while True:
                size = struct.unpack("!H", await reader.readexactly(2))[0]
                query = read_query(await reader.readexactly(size), tcp=True)
                reply = self._reply(query)
                if reply is None:
                    await reader.read()  # accepts, and does not answer
                if not reply:
                    return
                writer.write(struct.pack("!H", len(reply)) + reply)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()


# The data of a record of each type, about which a server can lie.
LIES = {
    "A": a("192.0.2.66"),
    "AAAA": aaaa("2001:db8::66"),
    "MX": mx(1, "evil.example"),
    "TXT": txt("v=spf1 +all"),
    "PTR": wire_name("evil.example"),
}
OTHER_TYPE = {"A": "TXT", "AAAA": "A", "MX": "A", "TXT": "PTR", "PTR": "A"}
JUNK = "x" * 60_000


def _other_type(query, _server):
    other = OTHER_TYPE[query.kind]
    return query.reply([LIES[other]], number=NUMBERS[other])


def _other_name(query, _server):
    return query.reply([LIES[query.kind]], owner=wire_name("other.example"))


def _loop(query, _server):
    name = wire_name(query.name)
    return query.reply([name], owner=name, number=CNAME)


def _truncated(query, _server):
    return b"" if query.tcp else query.reply(flags=TRUNCATED)


def _huge(query, server):
    """Return a record of 60 KB next to the usual ones."""
    if query.kind != "TXT" or not server.data(query):
        return server.usual(query)
    return query.reply([*server.data(query), txt(JUNK)])


def _malformed(query, _server):
    """Return a reply that claims 65535 records, and ends within the first one."""
    octets = query.reply([b""], number=query.number)
    return octets[:6] + b"\xff\xff" + octets[8:-5]


def _noise(query, _server):
    """Return a reply whose octets after the question have no meaning."""
    return query.reply()[:6] + b"\x00\x09" + query.reply()[8:] + b"\xc0\xff\xc0" * 40


FAULTS = {
    "silent": lambda _query, _server: None,
    "refused": lambda query, _server: query.reply(code=REFUSED),
    "servfail": lambda query, _server: query.reply(code=SERVFAIL),
    "other type": _other_type,
    "other name": _other_name,
    "alias loop": _loop,
    "truncated": _truncated,
    "huge text": _huge,
    "malformed": _malformed,
    "noise": _noise,
}
