"""Edited messages reach their targets: Maildir, next hop, queue."""

import asyncio
import re
from typing import ClassVar

import pytest
from tests.server.loopback import ENVELOPE, config, run
from tests.server.test_queue import arrived, mails, queued, send
from tests.session.dialogue import plugin
from tests.waiting import until

from gatepost import Server, Target
from gatepost.config.client import ClientConfig
from gatepost.config.schema import MaildirConfig, QueueConfig, RouteConfig

BLOCK = b"X-Spam: yes\r\nSubject: hello\r\nX-Folded: a\r\n\tb\r\n"
DATA = ENVELOPE + b"DATA\r\n" + BLOCK + b"\r\ntext\r\n.\r\n"
LARGE = b"0123456789abcde\r\n" * 50_000
EDITED = b"Subject: [EXT] hello\r\nX-Folded: a\r\n\tb\r\nX-Last: 1\r\n"


def edit_fields(tx):
    assert tx.message.remove_header("x-spam") == 1
    assert tx.message.replace_header("Subject", "[EXT] hello") == 1
    tx.message.add_header("X-Last", "1", first=False)


def edit_all(tx):
    edit_fields(tx)
    tx.message.replace_body([LARGE])


BODIES = {edit_fields: b"\r\ntext\r\n", edit_all: b"\r\n" + LARGE}
editing = pytest.mark.parametrize("method", BODIES, ids=["fields", "all"])


def expected(method):
    return EDITED + BODIES[method]


def without_trace(mail):
    """Return a mail without its trace fields."""
    trace, _, rest = mail.rpartition(b"+0000\r\n")
    assert trace.startswith((b"Return-Path: ", b"Received: "))
    return rest


@editing
def test_a_maildir_gets_the_edited_message(tmp_path, method):
    async def scenario(running):
        assert (await send(running, DATA))[:3] == "250"

    made = config(tmp_path, to="maildir:mail/{local}", limits={"memory_per_message": 100})
    run(scenario, made, [plugin(on_message=method)])
    (path,) = (tmp_path / "mail").glob("*/new/*")
    mail = path.read_bytes()
    assert without_trace(mail) == expected(method)
    assert path.name.endswith(f",S={len(mail)}")


def test_a_quota_counts_the_edited_message(tmp_path):
    """The message as received has room, with the replaced body it has none."""
    made = config(tmp_path)
    limited = MaildirConfig(quota=100_000)
    made.route[0] = RouteConfig(to="maildir:mail/{local}", maildir=limited)

    async def scenario(running):
        return await send(running, DATA)

    assert run(scenario, made, [plugin(on_message=edit_fields)])[:3] == "250"
    assert run(scenario, made, [plugin(on_message=edit_all)])[:3] in ("452", "552")


@editing
def test_an_edited_message_goes_through_the_queue_after_a_restart(tmp_path, method):
    (tmp_path / "mail").touch()

    async def first(running):
        assert (await send(running, DATA))[:3] == "250"

    retry = QueueConfig(retry=[1.0])
    run(first, queued(tmp_path, queue=retry), [plugin(on_message=method)])
    (tmp_path / "mail").unlink()

    async def second(running):
        (mail,) = await arrived(running, tmp_path)
        assert without_trace(mail) == expected(method)

    run(second, config(tmp_path, to="maildir:mail/{local}", queue=retry))
    assert len(mails(tmp_path)) == 1


class Recording(Target):
    """Keeps the messages and the parameters of MAIL in `seen`, which is of the class."""

    seen: ClassVar = []

    @classmethod
    def from_route(cls, _spec):
        return cls()

    async def deliver(self, delivery):
        message = delivery.message
        with pytest.raises(RuntimeError, match="cannot be edited now"):
            message.remove_header("Subject")
        self.seen.append((bytes(message), message.full_size, dict(delivery.transaction.params)))


@pytest.mark.parametrize("mode", ["direct", "queue"])
def test_a_target_cannot_edit_the_message(tmp_path, mode):
    Recording.seen = []
    made = config(tmp_path)
    made.route[0] = RouteConfig(to="recording:", mode=mode)

    def body(tx):
        tx.message.replace_body("ü\r\n".encode())

    async def main():
        targets = {"recording": Recording}
        async with Server(made, [plugin(on_message=body)], targets=targets) as server:
            host, _, port = server.addresses[0][1].rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(DATA + b"QUIT\r\n")
            assert b"\r\n250 2.0.0 Ok" in await reader.read()
            writer.close()
            await until(lambda: Recording.seen)

    asyncio.run(main())
    ((content, size, params),) = Recording.seen
    assert len(content) == size
    assert content.endswith(BLOCK + b"\r\n" + "ü\r\n".encode())
    assert params == {"BODY": "8BITMIME"}


@editing
@pytest.mark.parametrize("chunking", [True, False])
@pytest.mark.parametrize("mode", ["direct", "queue"])
def test_a_next_hop_gets_the_edited_message(tmp_path, method, chunking, mode):
    """With BDAT a wrong size would break the dialogue."""
    seen = []

    def record(tx, _outcome):
        seen.append((tx.params, bytes(tx.message)))

    async def main():
        behind = config(tmp_path / "behind")
        async with Server(behind, [plugin(after_deliver=record)]) as second:
            front = config(tmp_path / "front")
            to, client = f"smtp://{second.addresses[0][1]}", ClientConfig(chunking=chunking)
            front.route[0] = RouteConfig(to=to, mode=mode, client=client)
            async with Server(front, [plugin(on_message=method)]) as first:
                host, _, port = first.addresses[0][1].rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(DATA + b"QUIT\r\n")
                assert b"\r\n250 2.0.0 Ok" in await reader.read()
                writer.close()
                await until(lambda: seen)

    for name in ("behind", "front"):
        (tmp_path / name).mkdir()
    asyncio.run(asyncio.wait_for(main(), 60))
    ((params, content),) = seen
    assert without_trace(content) == expected(method)
    own_trace = re.match(rb"(?s)Received: .*?\+0000\r\n", content)
    assert int(params["SIZE"]) == len(content) - own_trace.end()
