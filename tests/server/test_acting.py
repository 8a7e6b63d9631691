"""Changes of delivery by plugins, with the queue on disk and restarts."""

import asyncio

from msgspec.structs import replace
from tests.server.loopback import ENVELOPE, MESSAGE, config, run
from tests.server.test_queue import arrived, mails, send
from tests.session.dialogue import plugin

from gatepost import Plugin, hold
from gatepost.config.quarantine import QuarantineConfig
from gatepost.config.schema import QueueConfig, RouteConfig
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.queue.spool import admin, changes

SOON = QueueConfig(retry=[1.0])


def routed(folder, *routes):
    made = config(folder, queue=SOON)
    made.route[:] = routes
    return made


def entries(folder):
    return list(admin.entries(folder / "var" / "spool", admin.Selection(), 100))


def test_a_quarantined_message_is_held_and_can_be_released(tmp_path):
    made = routed(tmp_path, RouteConfig(to="maildir:mail/{local}"))

    async def first(running):
        assert (await send(running))[:3] == "250"

    run(first, made, [plugin(on_message=lambda tx: tx.quarantine("odd"))])
    [entry] = entries(tmp_path)
    assert (entry.state, entry.reason, entry.recipient) == ("held", "odd", "one@example.com")
    assert mails(tmp_path) == []
    spool = tmp_path / "var" / "spool"
    assert sum(admin.apply(spool, admin.Selection(state="held"), changes.RELEASE, 2e10)) == 1

    async def second(running):
        (mail,) = await arrived(running, tmp_path)
        assert mail.endswith(b"text\r\n")

    run(second, made)


def test_the_chosen_route_and_added_recipients_survive_a_restart(tmp_path):
    made = routed(
        tmp_path,
        RouteConfig(to="maildir:mail/{local}", mode="queue"),
        RouteConfig(for_=[], to="maildir:junk/{local}", mode="queue", name="junk"),
    )
    for name in ("mail", "junk"):
        (tmp_path / name).touch()  # no delivery succeeds

    def on_message(tx):
        tx.choose_route("junk")
        tx.add_recipient("journal@example.com")

    async def first(running):
        assert (await send(running))[:3] == "250"

    run(first, made, [plugin(on_message=on_message)])
    found = {entry.recipient: entry.destination for entry in entries(tmp_path)}
    assert found == {
        "one@example.com": "maildir:junk/{local}",
        "journal@example.com": "maildir:mail/{local}",
    }
    for name in ("mail", "junk"):
        (tmp_path / name).unlink()

    async def second(running):
        await arrived(running, tmp_path, target="mail")
        await arrived(running, tmp_path, target="junk")

    run(second, made)
    assert [path.name for path in (tmp_path / "junk").iterdir()] == ["one"]
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["journal"]


def test_a_chosen_route_that_is_gone_keeps_the_mail_in_the_queue(tmp_path):
    made = routed(
        tmp_path,
        RouteConfig(to="maildir:mail/{local}"),
        RouteConfig(for_=[], to="maildir:junk/{local}", mode="queue", name="junk"),
    )
    (tmp_path / "junk").touch()

    async def first(running):
        assert (await send(running))[:3] == "250"

    run(first, made, [plugin(on_message=lambda tx: tx.choose_route("junk"))])

    async def second(running):
        while entries(tmp_path)[0].reason != "no route":  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0)

    run(second, routed(tmp_path, RouteConfig(to="maildir:mail/{local}")))
    assert mails(tmp_path) == []


def test_a_failed_copy_is_held_and_the_sender_gets_no_dsn(tmp_path):
    """The client is trusted: it connects from this machine."""
    made = routed(
        tmp_path,
        RouteConfig(for_=["journal@example.com"], to="pipe:/bin/sh -c 'exit 67'", mode="queue"),
        RouteConfig(to="maildir:mail/{local}"),
    )
    add = plugin(on_data=lambda tx: tx.add_recipient("journal@example.com") and None)
    envelope = ENVELOPE.replace(b"<>", b"<sender@example.com>")

    async def scenario(running):
        assert (await send(running, envelope + b"DATA\r\n" + MESSAGE))[:3] == "250"
        while [entry.state for entry in entries(tmp_path)] != ["held"]:  # noqa: ASYNC110
            await asyncio.sleep(0)

    run(scenario, made, [add])
    assert [entry.recipient for entry in entries(tmp_path)] == ["journal@example.com"]
    assert not (tmp_path / "mail" / "sender").exists()


def test_a_plugin_submits_a_message_through_the_queue(tmp_path):
    class Reporter(Plugin):
        async def on_delivered(self, tx, /):
            await self.submit("", ["boss@example.com"], b"Subject: report\n\ntext\n")

    async def scenario(running):
        assert (await send(running))[:3] == "250"
        reports = await arrived(running, tmp_path, count=2)
        [report] = [one for one in reports if b"Subject: report" in one]
        assert b"Return-Path: <>\r\nDate: " in report

    run(scenario, routed(tmp_path, RouteConfig(to="maildir:mail/{local}")), [Reporter()])


def test_nothing_is_delivered_before_the_release_by_any_route(tmp_path):
    """Neither by a direct route, nor to an added recipient, nor to one that replaces another."""
    made = routed(
        tmp_path,
        RouteConfig(to="maildir:mail/{local}"),
        RouteConfig(for_=[], to="maildir:other/{local}", mode="queue", name="other"),
    )

    def on_message(tx):
        tx.add_recipient("copy@example.com", route="other")
        tx.replace_recipient(tx.recipients[0], ["new@example.com"])
        return hold("odd")

    async def scenario(running):
        assert (await send(running))[:3] == "250"
        spool = tmp_path / "var" / "spool"
        found = {one.recipient: one.state for one in entries(tmp_path)}
        assert found == {"new@example.com": "held", "copy@example.com": "held"}
        assert mails(tmp_path) == mails(tmp_path, "other") == []
        assert sum(admin.apply(spool, admin.Selection(), changes.RELEASE, 2e10)) == 2
        await arrived(running, tmp_path)
        await arrived(running, tmp_path, target="other")

    run(scenario, made, [plugin(on_message=on_message)])


def test_the_daily_list_is_delivered_and_the_status_has_the_quarantine(tmp_path):
    made = routed(tmp_path, RouteConfig(to="maildir:mail/{local}", mode="queue"))
    made = replace(made, quarantine=QuarantineConfig(digest="admin@example.com"))
    clock = VirtualClock()

    async def scenario(running):
        assert (await send(running))[:3] == "250"
        await running.server.measure()
        status = running.server.status()
        assert (status.quarantined, status.quarantine_octets > 20, status.queue) == (1, True, [])
        clock.move_to(clock.time() + 24 * 3600)
        (mail,) = await arrived(running, tmp_path)
        assert b"Subject: Quarantine: 1 new message on " in mail
        assert b"Release:  gatepost queue release 1-1" in mail

    run(scenario, made, [plugin(on_message=lambda _tx: hold("odd"))], clock=clock)
