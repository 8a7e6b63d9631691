"""Connections and requests that are too slow, too many or fail."""

import asyncio
import socket

import pytest
from structlog.testing import capture_logs

from gatepost.web import limits, server
from gatepost.web.guard import Guard
from gatepost.web.server import WebServer

SHORT = 0.05  # seconds; the tests wait for the end of a connection, however long it takes
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def fine(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


async def never(_scope, _receive, _send):
    await asyncio.Event().wait()


async def stops_halfway(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


async def fails(_scope, _receive, _send):
    raise ValueError("broken")


async def until_end(reader):
    """Return what comes; a connection that is aborted before its octets are read is reset."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def answers(app, *octets, connections=1):
    """Send octets on each connection; return what comes until its end."""

    async def run():
        sock = socket.create_server(("127.0.0.1", 0))
        running = WebServer(Guard(app), sock, None)
        await running.start()
        streams = [await asyncio.open_connection(*sock.getsockname()) for _ in range(connections)]
        found = []
        for reader, writer in streams:
            writer.write(b"".join(octets))
            found.append(await until_end(reader))
            writer.close()
        await running.stop()
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("octets", [b"", REQUEST[:10], REQUEST, REQUEST * 2])
def test_a_connection_without_a_request_is_closed(monkeypatch, octets):
    monkeypatch.setattr(server, "HEAD", SHORT)
    (found,) = answers(fine, octets)
    assert found.count(b"fine") == octets.count(REQUEST)


def test_a_page_that_takes_too_long_is_an_error(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", SHORT)
    (found,) = answers(never, REQUEST)
    assert found.startswith(b"HTTP/1.1 503 ")
    assert b"The request took too long." in found
    assert b"content-security-policy" in found


def test_a_response_that_stops_ends_with_its_connection(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", SHORT)
    (found,) = answers(stops_halfway, REQUEST)
    assert found.startswith(b"HTTP/1.1 200 ")


def test_a_connection_is_closed_if_the_response_does_not_end(monkeypatch):
    monkeypatch.setattr(server, "EXTRA", SHORT - limits.SECONDS)
    assert answers(never, REQUEST) == [b""]


def test_a_connection_is_closed_if_the_client_does_not_read(monkeypatch):
    monkeypatch.setattr(server, "STALLED", SHORT)

    async def run():
        gone = asyncio.Event()

        async def endless(send):
            while True:
                part = {"type": "http.response.body", "body": b"x" * 100_000, "more_body": True}
                await send(part)
                await asyncio.sleep(0)

        async def app(_scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            sender = asyncio.create_task(endless(send))
            while (await receive())["type"] != "http.disconnect":
                pass
            sender.cancel()
            gone.set()

        sock = socket.create_server(("127.0.0.1", 0))
        running = WebServer(Guard(app), sock, None)
        await running.start()
        with socket.create_connection(sock.getsockname()) as client:
            client.sendall(REQUEST)
            await gone.wait()
        await running.stop()

    asyncio.run(run())


def test_a_client_whose_host_has_vanished_is_found():
    async def run():
        sock = socket.create_server(("127.0.0.1", 0))
        running = WebServer(Guard(fine), sock, None)
        await running.start()
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(REQUEST)
        await reader.readuntil(b"fine")
        (connection,) = running._state.connections
        found = connection.transport.get_extra_info("socket")
        limit = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        writer.close()
        await running.stop()
        return limit

    assert asyncio.run(run()) == server.STALLED * 1000


def test_too_many_connections_get_503(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 3)
    monkeypatch.setattr(server, "HEAD", SHORT)
    found = answers(fine, REQUEST, connections=4)
    assert found[0].startswith(b"HTTP/1.1 503 ")


def test_an_error_is_logged_and_not_shown():
    with capture_logs() as logs:
        found = answers(fails, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert b"broken" not in found[0]
    assert [(one["event"], one["path"], one["error"]) for one in logs] == [
        ("page failed", "/", "ValueError: broken")
    ]
