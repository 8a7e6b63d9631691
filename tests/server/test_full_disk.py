"""A full disk: 4yz replies, no partial files, and normal operation once there is room again."""

import pytest
from tests.server.loopback import ENVELOPE, config, run

from gatepost.config.schema import QueueConfig, RouteConfig

LONG = b"0123456789abcde\r\n" * 4000


def files(folder, pattern):
    return sorted(path.name for path in folder.glob(pattern))


def subjects(folder):
    """Return the subjects of a Maildir's messages; each must be complete."""
    found = [path.read_bytes().partition(b"Subject: ")[2] for path in folder.glob("one/new/*")]
    assert all(one.endswith(b"\r\nend\r\n") for one in found)
    return sorted(int(one.split(b"\r\n")[0]) for one in found)


class Sender:
    """Sends messages on one connection; `accepted` has the numbers of those with a 250 reply."""

    def __init__(self, client, content=LONG):
        self.client, self.content = client, content
        self.count, self.accepted = 0, []

    async def send(self):
        """Send a message; return the last reply."""
        self.count += 1
        head = b"Subject: %d\r\n\r\n" % self.count
        self.client.send(ENVELOPE + b"DATA\r\n" + head + self.content + b"end\r\n.\r\n")
        *others, last = await self.client.replies(5)
        assert [one[:3] for one in others] == ["250", "250", "250", "354"]
        if last.startswith("250"):
            self.accepted.append(self.count)
        return last


async def connected(running, content=LONG):
    client = await running.connect()
    assert (await client.reply()).startswith("220")
    return Sender(client, content)


def spooling(root, mail):
    """Return a configuration with the spool on the disk and Maildirs elsewhere."""
    settings = config(root, queue=QueueConfig(retry=[1.0]))
    settings.route[:] = [RouteConfig(to=f"maildir:{mail}/{{local}}", mode="queue")]
    return settings


def test_the_queue_refuses_mail_until_there_is_room(tmp_path, make_disk):
    disk, mail = make_disk(32), tmp_path / "mail"

    async def scenario(running):
        sender = await connected(running)
        assert (await sender.send()).startswith("250")
        with disk.full():
            # The spool's own files may have some room.
            while (reply := await sender.send()).startswith("250"):
                pass
            assert reply.startswith("452 4.3.1 Insufficient system storage")
        assert (await sender.send()).startswith("250")
        await running.until(lambda: subjects(mail) == sender.accepted)
        await sender.client.close()

    run(scenario, spooling(disk.root, mail))
    assert not files(disk.root, "var/spool/*.damaged*")


def test_a_failed_delivery_leaves_nothing_in_a_maildir(make_disk):
    disk = make_disk(16)

    async def scenario(running):
        sender = await connected(running)
        assert (await sender.send()).startswith("250")
        with disk.full():
            reply = await sender.send()
            assert reply.startswith("451 4.3.0 The message could not be stored")
            assert files(disk.root, "mail/one/tmp/*") == []
        assert (await sender.send()).startswith("250")
        assert subjects(disk.root / "mail") == sender.accepted == [1, 3]
        await sender.client.close()

    run(scenario, config(disk.root, to="maildir:mail/{local}"))


TARGETS = ["maildir:{folder}/mail/{{local}}", "file:{folder}/mail", "pipe:/bin/cat", "discard:"]


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("content", [LONG, LONG[:1700]], ids=["long", "short"])
def test_content_without_room_is_refused_with_452(tmp_path, make_disk, to, content):
    """Content smaller than the write buffer of a file is refused too."""
    disk = make_disk(16)
    target = to.format(folder=tmp_path)

    async def scenario(running):
        sender = await connected(running, content)
        assert (await sender.send()).startswith("250")
        with disk.full():
            assert (await sender.send()).startswith("452 4.3.1 Insufficient system storage")
        assert (await sender.send()).startswith("250")
        await sender.client.close()

    settings = config(disk.root, limits={"memory_per_message": 0}, to=target)
    run(scenario, settings)
