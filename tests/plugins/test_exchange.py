"""One request and its response on a socket of a service."""

import asyncio
import socket
from contextlib import closing

import pytest
from tests.plugins.scanners import service

from gatepost import Message
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


def test_other_tasks_run_between_the_pieces_of_a_request(tmp_path):
    """The service reads all of it, so that sending never has to wait."""
    turns = 0

    async def respond(reader, writer):
        await reader.read()
        writer.write(b"done")

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def pieces():
        for _ in range(100):
            before = turns
            yield b"x" * 100
            assert turns > before

    async def scenario():
        async with service(tmp_path / "s", respond):
            counting = asyncio.create_task(count())
            address = ServiceAddress(f"unix:{tmp_path}/s")
            assert await exchange(address, pieces(), half_close=True) == b"done"
            counting.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("threshold", [0, 10_000_000])
def test_the_content_of_a_large_message_comes_in_pieces_of_limited_size(tmp_path, threshold):
    message = Message(threshold, tmp_path)
    for _ in range(64):
        message.write(b"x" * 16_384)
    message.complete()
    sizes = [len(piece) for piece in message.content()]
    assert sum(sizes) == message.size == 64 * 16_384
    assert max(sizes) <= 256 * 1024
    message.close()
