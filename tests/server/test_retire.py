"""`Server.retire`: no new connections, while open sessions continue."""

import asyncio
from ipaddress import ip_network

import msgspec
from tests.server.loopback import ENVELOPE, HELO, MESSAGE, config, run

from gatepost.config.listen import InetAddress
from gatepost.config.schema import ListenConfig
from gatepost.testing import Capture


async def refused(running):
    try:
        await (await running.connect()).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was in the backlog when the listener was closed
        return False
    return False


def test_open_sessions_continue(tmp_path, loop):
    capture = Capture()

    async def scenario(running):
        client = await running.connect()
        assert await client.codes(1) == ["220"]
        retired = asyncio.create_task(running.server.retire())
        await asyncio.sleep(0)
        while not await refused(running):
            pass
        client.send(ENVELOPE + b"DATA\r\n" + MESSAGE + HELO)
        assert await client.codes(6) == ["250", "250", "250", "354", "250", "250"]
        assert not retired.done()
        client.send(b"QUIT\r\n")
        assert await client.rest() == "221 2.0.0 Closing connection\r\n"
        await client.close()
        await retired

    run(scenario, config(tmp_path), [capture], loop=loop)
    assert len(capture.messages) == 1


def test_a_connection_without_its_proxy_header_is_kept(tmp_path, loop, monkeypatch):
    monkeypatch.setattr("gatepost.server.server.SWEEP", 0.01)
    trusting = ListenConfig(
        address=InetAddress("127.0.0.1", 0), proxy_from=[ip_network("127.0.0.0/8")]
    )

    async def scenario(running):
        client = await running.connect()
        await running.until(lambda: running.connections.pending)
        retired = asyncio.create_task(running.server.retire())
        await asyncio.sleep(0)
        while not await refused(running):
            pass
        assert not retired.done()
        client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n")
        assert await client.codes(1) == ["220"]
        client.send(b"QUIT\r\n")
        assert await client.codes(1) == ["221"]
        await client.close()
        await retired

    settings = msgspec.structs.replace(config(tmp_path), listen=[trusting])
    run(scenario, settings, loop=loop)


def test_server_without_connections_retires_at_once(tmp_path, loop):
    async def scenario(running):
        await running.server.retire()

    run(scenario, config(tmp_path), loop=loop)
