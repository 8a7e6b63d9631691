"""Mail through the queue: 250 when the spool has it, and delivery from the spool."""

import asyncio

import pytest
from tests.server.loopback import ENVELOPE, HELO, MESSAGE, config, run

from gatepost.config.schema import QueueConfig, RouteConfig
from gatepost.session.assemble import SetupError

SESSION = ENVELOPE + b"DATA\r\n" + MESSAGE


def queued(folder, to="maildir:mail/{local}", **more):
    made = config(folder, **more)
    made.route[0] = RouteConfig(to=to, mode="queue")
    return made


async def send(running, lines=SESSION, replies=6):
    client = await running.connect()
    client.send(lines)
    received = await client.replies(replies)
    await client.close()
    return received[-1]


def mails(folder, target="mail"):
    return [path.read_bytes() for path in folder.glob(f"{target}/*/new/*")]


async def arrived(running, folder, count=1, target="mail"):
    while len(mails(folder, target)) < count:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    return mails(folder, target)


def test_mail_goes_through_the_queue(tmp_path, loop):
    async def scenario(running):
        assert (await send(running))[:3] == "250"
        (mail,) = await arrived(running, tmp_path)
        head, _, content = mail.partition(b"Subject: ")
        assert head.startswith(b"Return-Path: <>\r\nReceived: from x ")
        assert content == b"x\r\n\r\ntext\r\n"

    run(scenario, queued(tmp_path), loop=loop)


def test_long_message_goes_through_the_queue(tmp_path):
    content = b"Subject: long\r\n\r\n" + b"0123456789abcde\r\n" * 50_000

    async def scenario(running):
        assert (await send(running, ENVELOPE + b"DATA\r\n" + content + b".\r\n"))[:3] == "250"
        (mail,) = await arrived(running, tmp_path)
        assert mail.endswith(content)

    run(scenario, queued(tmp_path))


def test_undelivered_mail_is_delivered_after_a_restart(tmp_path):
    (tmp_path / "mail").touch()

    async def first(running):
        assert (await send(running))[:3] == "250"

    run(first, queued(tmp_path, queue=QueueConfig(retry=[1.0])))
    (tmp_path / "mail").unlink()

    async def second(running):
        assert len(await arrived(running, tmp_path)) == 1

    run(second, config(tmp_path, to="maildir:mail/{local}", queue=QueueConfig(retry=[1.0])))


def test_message_beyond_the_spool_size_is_deferred(tmp_path):
    content = b"Subject: long\r\n\r\n" + b"0123456789abcde\r\n" * 100_000

    async def scenario(running):
        reply = await send(running, ENVELOPE + b"DATA\r\n" + content + b".\r\n")
        assert reply.startswith("452 4.3.1 Insufficient system storage")
        assert (await send(running))[:3] == "250"
        await arrived(running, tmp_path)
        assert len(mails(tmp_path)) == 1

    run(scenario, queued(tmp_path, queue=QueueConfig(spool_size=1 << 20)))


def test_unusable_spool_prevents_the_start(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "spool").touch()
    with pytest.raises(SetupError, match="spool cannot be used"):
        run(None, queued(tmp_path))


def test_no_spool_without_a_route_that_queues(tmp_path):
    async def scenario(running):
        assert (await send(running))[:3] == "250"

    run(scenario, config(tmp_path))
    assert not (tmp_path / "var" / "spool").exists()


TWO = b"MAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\nRCPT TO:<two@example.com>\r\n"


def test_failure_of_a_second_target_is_queued(tmp_path):
    """The client gets 250 and sends no duplicate; the rest is delivered when the target works."""
    (tmp_path / "broken").touch()
    made = config(tmp_path, queue=QueueConfig(retry=[1.0]))
    made.route[:] = [
        RouteConfig(for_=["one@example.com"], to="maildir:mail/{local}"),
        RouteConfig(to="maildir:broken/{local}"),
    ]

    async def scenario(running):
        assert (await send(running, HELO + TWO + b"DATA\r\n" + MESSAGE, 7))[:3] == "250"
        (tmp_path / "broken").unlink()
        await arrived(running, tmp_path, target="broken")

    run(scenario, made)
    assert len(mails(tmp_path)) == 1


def test_fallback_queues_mail_of_an_unavailable_target(tmp_path):
    (tmp_path / "broken").touch()
    made = config(tmp_path, queue=QueueConfig(retry=[1.0]))
    made.route[:] = [RouteConfig(to="maildir:broken/{local}", fallback="queue")]

    async def scenario(running):
        assert (await send(running))[:3] == "250"
        (tmp_path / "broken").unlink()
        await arrived(running, tmp_path, target="broken")

    run(scenario, made)


def test_lmtp_recipient_is_accepted_by_the_queue(tmp_path):
    made = queued(tmp_path)
    listen = made.listen[0]
    made.listen[0] = type(listen)(address=listen.address, protocol="lmtp")

    async def scenario(running):
        client = await running.connect()
        client.send(SESSION.replace(HELO, b"LHLO x\r\n"))
        assert (await client.codes(6))[-1] == "250"
        await client.close()
        await arrived(running, tmp_path)

    run(scenario, made)
