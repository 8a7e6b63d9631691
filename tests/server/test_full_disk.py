"""A disk that is really full: 4yz, nothing half-done, and mail flows again once there is room."""

import pytest
from tests.server.loopback import ENVELOPE, config, run

from gatepost.config.schema import QueueConfig, RouteConfig

LONG = b"0123456789abcde\r\n" * 4000


def files(folder, pattern):
    return sorted(path.name for path in folder.glob(pattern))


def tokens(folder):
    """Return the subjects of what is in a Maildir; each file has to be whole."""
    found = [path.read_bytes().partition(b"Subject: ")[2] for path in folder.glob("one/new/*")]
    assert all(one.endswith(b"\r\nend\r\n") for one in found)
    return sorted(int(one.split(b"\r\n")[0]) for one in found)


class Sender:
    """Sends messages on one connection; `taken` are the numbers of those answered 250."""

    def __init__(self, client, content=LONG):
        self.client, self.content = client, content
        self.count, self.taken = 0, []

    async def send(self):
        """Return the answer to a message."""
        self.count += 1
        head = b"Subject: %d\r\n\r\n" % self.count
        self.client.send(ENVELOPE + b"DATA\r\n" + head + self.content + b"end\r\n.\r\n")
        *others, last = await self.client.replies(5)
        assert [one[:3] for one in others] == ["250", "250", "250", "354"]
        if last.startswith("250"):
            self.taken.append(self.count)
        return last


async def connected(running, content=LONG):
    client = await running.connect()
    assert (await client.reply()).startswith("220")
    return Sender(client, content)


def spooling(root, mail):
    """What comes goes by way of a spool on the disk into Maildirs elsewhere."""
    made = config(root, queue=QueueConfig(retry=[1.0]))
    made.route[:] = [RouteConfig(to=f"maildir:{mail}/{{local}}", mode="queue")]
    return made


def test_the_queue_takes_no_mail_and_goes_on(tmp_path, make_disk):
    own, mail = make_disk(32), tmp_path / "mail"

    async def scenario(running):
        sender = await connected(running)
        assert (await sender.send()).startswith("250")
        with own.full():
            # There may be some room in the spool's own files.
            while (answer := await sender.send()).startswith("250"):
                pass
            assert answer.startswith("452 4.3.1 Insufficient system storage")
        assert (await sender.send()).startswith("250")
        await running.until(lambda: tokens(mail) == sender.taken)
        await sender.client.close()

    run(scenario, spooling(own.root, mail))
    assert not files(own.root, "var/spool/*.damaged*")


def test_a_maildir_has_nothing_of_a_message_that_has_no_room(make_disk):
    own = make_disk(16)

    async def scenario(running):
        sender = await connected(running)
        assert (await sender.send()).startswith("250")
        with own.full():
            answer = await sender.send()
            assert answer.startswith("451 4.3.0 The message could not be stored")
            assert files(own.root, "mail/one/tmp/*") == []
        assert (await sender.send()).startswith("250")
        assert tokens(own.root / "mail") == sender.taken == [1, 3]
        await sender.client.close()

    run(scenario, config(own.root, to="maildir:mail/{local}"))


TARGETS = ["maildir:{folder}/mail/{{local}}", "file:{folder}/mail", "pipe:/bin/cat", "discard:"]


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("content", [LONG, LONG[:1700]], ids=["long", "short"])
def test_content_that_has_no_room_while_it_comes_in_is_452(tmp_path, make_disk, to, content):
    """Also where it would fit into what a file keeps in memory before it writes."""
    own = make_disk(16)
    target = to.format(folder=tmp_path)

    async def scenario(running):
        sender = await connected(running, content)
        assert (await sender.send()).startswith("250")
        with own.full():
            assert (await sender.send()).startswith("452 4.3.1 Insufficient system storage")
        assert (await sender.send()).startswith("250")
        await sender.client.close()

    made = config(own.root, limits={"memory_per_message": 0}, to=target)
    run(scenario, made)
