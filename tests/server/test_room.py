"""Back-pressure: no more content than the limits allow, until a message is delivered."""

import asyncio

import pytest
from tests.server.loopback import ENVELOPE, HELO, config, run

from gatepost.config.schema import (
    Config,
    LimitsConfig,
    RecipientsConfig,
    RouteConfig,
    SmtpConfig,
)
from gatepost.testing import MemoryServer

CONTENT = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 200
MAIL = HELO + b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    "limits",
    [
        {"content_memory": 1024, "content_files": 1024},
        {"content_files": 1024, "memory_per_message": 0},
    ],
    ids=["memory", "files"],
)
def test_mail_is_deferred_while_content_uses_all_space(tmp_path, limits):
    async def scenario(running):
        def sizes():
            messages = [one.talk.message for one in running.connections.members]
            return [message.size for message in messages if message]

        sender, other = await running.connect(), await running.connect()
        sender.send(ENVELOPE + b"DATA\r\n")
        assert await sender.codes(5) == ["220", "250", "250", "250", "354"]
        sender.send(CONTENT)
        await running.until(lambda: sizes() and sizes()[0] > 1024)
        running.connections._measure()
        other.send(MAIL)
        replies = await other.replies(3)
        assert replies[2].startswith("452 4.3.1 Insufficient system storage")
        sender.send(b".\r\n")
        assert await sender.codes(1) == ["250"]
        running.connections._measure()
        other.send(b"MAIL FROM:<>\r\n")
        assert await other.codes(1) == ["250"]
        await sender.close()
        await other.close()

    run(scenario, config(tmp_path, limits=limits))


def test_connections_without_a_message_use_no_space(tmp_path):
    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE)
        await client.codes(4)
        running.connections._measure()
        assert not running.connections.setup.storage_full
        await client.close()

    run(scenario, config(tmp_path))


def fill(limits, sizes, broken=None):
    """Hold messages of these sizes, check the space, and return what the others find."""

    async def scenario(server):
        clients = [server.connect() for _ in sizes]
        for client, size in zip(clients, sizes, strict=True):
            client.send(ENVELOPE + b"DATA\r\n")
            assert [(await client.reply())[:3] for _ in range(5)][-1] == "354"
            client.send(b"x" * 62 * size + b"\r\n")
        held = [one.talk.message for one in server.connections.members]
        if broken is not None:
            server.setup.folder = broken
            for message in held:
                message._folder = broken
        server.connections._measure()
        moved = sorted(message.size for message in held if message.in_file)
        other = server.connect()
        other.send(MAIL)
        code = [(await other.reply())[:3] for _ in range(3)][-1]
        for client in clients:
            client.send(b".\r\n")
            assert (await client.reply())[:3] == "250"
        return moved, code, sorted(len(one.content) for one in server.messages)

    async def main():
        made = Config(
            limits=LimitsConfig(**limits),
            recipients=RecipientsConfig(domains=["example.com"]),
            route=[RouteConfig(to="discard:")],
            smtp=SmtpConfig(unauthorised_pipelining="tolerate"),
        )
        async with MemoryServer(config=made) as server:
            return await scenario(server)

    return asyncio.run(main())


def test_the_largest_messages_move_to_files_when_memory_is_full():
    moved, code, lengths = fill({"content_memory": 20_000}, [100, 200, 50])
    assert moved == [12_400]
    assert code == "250"
    assert [one // 1000 for one in lengths] == [3, 6, 12]


def test_moved_content_counts_as_files():
    moved, code, _ = fill({"content_memory": 1024, "content_files": 1024}, [100])
    assert (moved, code) == ([6200], "452")


def test_messages_stay_in_memory_if_they_cannot_be_moved(tmp_path):
    moved, code, lengths = fill({"content_memory": 1024}, [100], tmp_path / "missing")
    assert (moved, code, len(lengths)) == ([], "452", 1)
