"""A worker takes no more content than it has room for, and has room again once it is delivered."""

import pytest
from tests.server.loopback import ENVELOPE, HELO, config, run

CONTENT = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 200
MAIL = HELO + b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    "limits",
    [{"content_memory": 1024}, {"content_files": 1024, "memory_per_message": 0}],
    ids=["memory", "files"],
)
def test_mail_is_deferred_while_there_is_no_room(tmp_path, limits):
    async def scenario(house):
        def coming():
            return [one.talk.message.size for one in house.worker.members if one.talk.message]

        sender, other = await house.connect(), await house.connect()
        sender.send(ENVELOPE + b"DATA\r\n")
        assert await sender.codes(5) == ["220", "250", "250", "250", "354"]
        sender.send(CONTENT)
        await house.until(lambda: coming() and coming()[0] > 1024)
        house.worker._measure()
        other.send(MAIL)
        replies = await other.replies(3)
        assert replies[2].startswith("452 4.3.1 Insufficient system storage")
        sender.send(b".\r\n")
        assert await sender.codes(1) == ["250"]
        house.worker._measure()
        other.send(b"MAIL FROM:<>\r\n")
        assert await other.codes(1) == ["250"]
        await sender.close()
        await other.close()

    run(scenario, config(tmp_path, limits=limits))


def test_connections_without_a_message_take_no_room(tmp_path):
    async def scenario(house):
        client = await house.connect()
        client.send(ENVELOPE)
        await client.codes(4)
        house.worker._measure()
        assert not house.worker.setup.storage_full
        await client.close()

    run(scenario, config(tmp_path))
