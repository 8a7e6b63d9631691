"""A PROXY header before TLS, and XCLIENT under TLS: the client and its encryption."""

import asyncio
import ssl

import msgspec
import pytest
from tests.net.authority import client_context
from tests.server.loopback import Client, run
from tests.server.proxies import LOOPBACK
from tests.server.tls import NAME, tls_config

from gatepost.plugin.base import Plugin

HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.25 4000 25\r\n"


class PeerRecorder(Plugin):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_connect(self, session):
        self.seen.append((session.peer.host, session.tls is not None))

    def on_helo(self, session, _name):
        self.seen.append((session.peer.host, session.tls is not None))


def trusting(folder, mode, **trust):
    made = tls_config(folder, mode)
    return msgspec.structs.replace(made, listen=[msgspec.structs.replace(made.listen[0], **trust)])


async def dialogue(reader, writer, *lines):
    """Send lines one by one; return the last line of each reply."""
    found = []
    for line in (None, *lines):
        if line is not None:
            writer.write(line)
        reply = await reader.readline()
        while reply[3:4] == b"-":
            reply = await reader.readline()
        found.append(reply.decode().rstrip())
    return found


@pytest.mark.parametrize("split", [len(HEADER), 10, len(HEADER) + 20])
def test_header_comes_before_the_handshake(tmp_path, loop, split):
    """The octets of the handshake may come with the header, split anywhere."""
    recorder = PeerRecorder()

    async def scenario(running):
        host, _, port = running.server.addresses[0][1].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname=NAME)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        data = HEADER + outgoing.read()
        writer.write(data[:split])
        await writer.drain()
        writer.write(data[split:])
        plain = b""
        while not plain.endswith(b"\r\n"):
            incoming.write(await reader.read(65536))
            try:
                tls.do_handshake()
                plain += tls.read()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
        assert plain.startswith(b"220 ")
        await Client(reader, writer).close()

    run(scenario, trusting(tmp_path, "implicit", proxy_from=LOOPBACK), [recorder], loop=loop)
    assert recorder.seen == [("192.0.2.7", True)]


def test_xclient_keeps_the_session_under_tls(tmp_path, loop):
    recorder = PeerRecorder()

    async def scenario(running):
        host, _, port = running.server.addresses[0][1].rpartition(":")
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=client_context(), server_hostname=NAME
        )
        replies = await dialogue(
            reader, writer, b"EHLO a\r\n", b"XCLIENT ADDR=192.0.2.9\r\n", b"EHLO b\r\n"
        )
        assert [reply[:3] for reply in replies] == ["220", "250", "220", "250"]
        assert "STARTTLS" not in replies[-1]
        await Client(reader, writer).close()

    run(scenario, trusting(tmp_path, "implicit", xclient_from=LOOPBACK), [recorder], loop=loop)
    assert recorder.seen == [
        ("127.0.0.1", True),
        ("127.0.0.1", True),
        ("192.0.2.9", True),
        ("192.0.2.9", True),
    ]


def test_starttls_and_xclient_are_offered_together(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        client.send(b"EHLO a\r\n")
        offered = [await client.reader.readline()]
        while offered[-1][3:4] == b"-":
            offered.append(await client.reader.readline())
        words = {line[4:].split()[0] for line in offered}
        assert {b"STARTTLS", b"XCLIENT"} <= words
        client.send(b"XCLIENT ADDR=192.0.2.9\r\nEHLO b\r\n")
        assert await client.codes(2) == ["220", "250"]
        await client.close()

    run(scenario, trusting(tmp_path, "starttls", xclient_from=LOOPBACK), loop=loop)
