"""One request and its response on a socket of a service."""

import asyncio
import socket
from contextlib import closing

import pytest
from tests.plugins.scanners import service

from gatepost.plugins._exchange import ServiceAddress, exchange


def run(tmp_path, handle, pieces, **options):
    async def scenario():
        async with service(tmp_path / "service", handle):
            return await exchange(ServiceAddress(f"unix:{tmp_path}/service"), pieces, **options)

    return asyncio.run(scenario())


def test_an_answer_before_the_end_of_the_request_is_kept(tmp_path):
    """The service closes its end, so that sending fails."""

    async def answer_early(reader, writer):
        await reader.readexactly(1)
        writer.write(b"no")

    assert run(tmp_path, answer_early, [b"x" * 100_000] * 100) == b"no"


def test_the_service_can_see_the_end_of_the_request(tmp_path):
    async def answer(reader, writer):
        writer.write(str(len(await reader.read())).encode())

    assert run(tmp_path, answer, [b"x" * 100_000] * 30, half_close=True) == b"3000000"


def test_a_response_ends_before_the_connection_does(tmp_path):
    async def answer(reader, writer):
        writer.write(b"a\0")
        assert await reader.read() == b"x"

    assert run(tmp_path, answer, [b"x"], end=b"\0") == b"a\0"


def test_an_error_of_the_pieces_is_raised(tmp_path):
    def broken():
        yield b"x"
        raise OSError("the file is away")

    async def wait(reader, _writer):
        await reader.read()

    with pytest.raises(OSError, match="the file is away"):
        run(tmp_path, wait, broken())


def test_all_addresses_of_a_host_are_tried():
    async def answer(_reader, writer):
        writer.write(b"yes")
        writer.close()

    async def scenario():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        with closing(server), socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # it does not listen
            names = {"scanner.example": (unused.getsockname(), server.sockets[0].getsockname())}

            async def resolve(host, port, **_options):
                found = names.get(host, ((host, port),))
                return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", one) for one in found]

            asyncio.get_running_loop().getaddrinfo = resolve
            return await exchange(ServiceAddress("scanner.example:1"), [])

    assert asyncio.run(scenario()) == b"yes"
