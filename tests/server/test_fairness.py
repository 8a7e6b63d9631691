"""Fairness: a client that sends many commands together does not block the others."""

import asyncio

from gatepost.net.turns import TURN
from gatepost.server.pump import COMMAND_COST
from gatepost.testing import MemoryServer

OPENING = b"EHLO a\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<u@example.com>\r\n"


def test_flood_of_chunks_is_answered_in_turns():
    async def main():
        async with MemoryServer() as server:
            flooding, other = server.connect(), server.connect()
            flooding.send(OPENING + b"BDAT 1\r\nx" * 1000 + b"BDAT 0 LAST\r\n")
            assert 0 < flooding._transport.written.count(b"\n") <= 10 + TURN // COMMAND_COST
            await other.reply()
            other.send(b"NOOP\r\n")
            assert (await other.reply()).startswith("250")
            replies = [await flooding.reply() for _ in range(4 + 1000 + 1)]
            assert {reply[:3] for reply in replies[1:]} == {"250"}
            await flooding.close()
            (message,) = server.messages
            assert message.content.endswith(b"x" * 1000)

    asyncio.run(main())


def test_commands_before_the_end_of_file_are_answered():
    async def main():
        async with MemoryServer() as server:
            client = server.connect()
            client.send(OPENING + b"BDAT 1\r\nx" * 500 + b"QUIT\r\n")
            client.send_eof()
            replies = [await client.reply() for _ in range(4 + 500 + 1)]
            assert replies[-1].startswith("221")
            assert client.closed

    asyncio.run(main())
