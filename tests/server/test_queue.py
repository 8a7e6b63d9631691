"""Mail by way of the queue: 250 when the spool has it, and delivered from there."""

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


async def send(house, lines=SESSION, replies=6):
    client = await house.connect()
    client.send(lines)
    said = await client.replies(replies)
    await client.close()
    return said[-1]


def mails(folder, where="mail"):
    return [path.read_bytes() for path in folder.glob(f"{where}/*/new/*")]


async def arrived(house, folder, count=1, where="mail"):
    while len(mails(folder, where)) < count:  # noqa: ASYNC110 - nobody says when a file is there
        await asyncio.sleep(0)
    return mails(folder, where)


def test_mail_goes_through_the_queue(tmp_path, loop):
    async def scenario(house):
        assert (await send(house))[:3] == "250"
        (mail,) = await arrived(house, tmp_path)
        head, _, content = mail.partition(b"Subject: ")
        assert head.startswith(b"Return-Path: <>\r\nReceived: from x ")
        assert content == b"x\r\n\r\ntext\r\n"

    run(scenario, queued(tmp_path), loop=loop)


def test_a_long_message_goes_through_the_queue(tmp_path):
    content = b"Subject: long\r\n\r\n" + b"0123456789abcde\r\n" * 50_000

    async def scenario(house):
        assert (await send(house, ENVELOPE + b"DATA\r\n" + content + b".\r\n"))[:3] == "250"
        (mail,) = await arrived(house, tmp_path)
        assert mail.endswith(content)

    run(scenario, queued(tmp_path))


def test_what_was_not_delivered_is_after_the_next_start(tmp_path):
    (tmp_path / "mail").touch()

    async def first(house):
        assert (await send(house))[:3] == "250"

    run(first, queued(tmp_path, queue=QueueConfig(retry=[1.0])))
    (tmp_path / "mail").unlink()

    async def second(house):
        assert len(await arrived(house, tmp_path)) == 1

    run(second, config(tmp_path, to="maildir:mail/{local}", queue=QueueConfig(retry=[1.0])))


def test_a_message_that_the_spool_does_not_take_is_452(tmp_path):
    content = b"Subject: long\r\n\r\n" + b"0123456789abcde\r\n" * 100_000

    async def scenario(house):
        reply = await send(house, ENVELOPE + b"DATA\r\n" + content + b".\r\n")
        assert reply.startswith("452 4.3.1 Insufficient system storage")
        assert (await send(house))[:3] == "250"
        await arrived(house, tmp_path)
        assert len(mails(tmp_path)) == 1

    run(scenario, queued(tmp_path, queue=QueueConfig(spool_size=1 << 20)))


def test_a_spool_that_cannot_be_used_is_an_error_at_the_start(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "spool").touch()
    with pytest.raises(SetupError, match="spool cannot be used"):
        run(None, queued(tmp_path))


def test_without_a_route_that_needs_it_nothing_is_opened(tmp_path):
    async def scenario(house):
        assert (await send(house))[:3] == "250"

    run(scenario, config(tmp_path))
    assert not (tmp_path / "var" / "spool").exists()


TWO = b"MAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\nRCPT TO:<two@example.com>\r\n"


def test_what_a_second_target_does_not_take_is_left_to_the_queue(tmp_path):
    """The client hears 250 and sends nothing twice; the rest arrives once there is room."""
    (tmp_path / "broken").touch()
    made = config(tmp_path, queue=QueueConfig(retry=[1.0]))
    made.route[:] = [
        RouteConfig(for_=["one@example.com"], to="maildir:mail/{local}"),
        RouteConfig(to="maildir:broken/{local}"),
    ]

    async def scenario(house):
        assert (await send(house, HELO + TWO + b"DATA\r\n" + MESSAGE, 7))[:3] == "250"
        (tmp_path / "broken").unlink()
        await arrived(house, tmp_path, where="broken")

    run(scenario, made)
    assert len(mails(tmp_path)) == 1


def test_a_fallback_is_for_targets_that_are_not_there(tmp_path):
    (tmp_path / "broken").touch()
    made = config(tmp_path, queue=QueueConfig(retry=[1.0]))
    made.route[:] = [RouteConfig(to="maildir:broken/{local}", fallback="queue")]

    async def scenario(house):
        assert (await send(house))[:3] == "250"
        (tmp_path / "broken").unlink()
        await arrived(house, tmp_path, where="broken")

    run(scenario, made)


def test_each_recipient_of_lmtp_has_its_answer(tmp_path):
    made = queued(tmp_path)
    listen = made.listen[0]
    made.listen[0] = type(listen)(address=listen.address, protocol="lmtp")

    async def scenario(house):
        client = await house.connect()
        client.send(SESSION.replace(HELO, b"LHLO x\r\n"))
        assert (await client.codes(6))[-1] == "250"
        await client.close()
        await arrived(house, tmp_path)

    run(scenario, made)
