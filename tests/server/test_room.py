"""Back-pressure: no more content than the limits allow, until a message is delivered."""

import pytest
from tests.server.loopback import ENVELOPE, HELO, config, run

CONTENT = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 200
MAIL = HELO + b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    "limits",
    [{"content_memory": 1024}, {"content_files": 1024, "memory_per_message": 0}],
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
