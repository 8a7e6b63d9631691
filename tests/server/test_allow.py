"""Entries of `gatepost allow` while a server runs: effect, record and end, in every protocol."""

import asyncio
import itertools

import pytest
from msgspec.structs import replace
from tests.server.loopback import LoopbackServer, config
from tests.server.milter import GOOD, milter_config
from tests.server.milter import run as run_milter
from tests.server.test_policy import Asker
from tests.session.dialogue import plugin

from gatepost import deny
from gatepost.allow.entry import Entry
from gatepost.allow.file import put, remove
from gatepost.ledger.records import Notice
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.server import Server

DAY = 86400.0
FAR = 4_000_000_000.0
RULE = {"on_mail": lambda _tx, _sender: deny("no", reason="listed")}
MAIL = b"EHLO x\r\nMAIL FROM:<a@client.example>\r\nQUIT\r\n"


def allow(made, what, until=FAR, *, pending=True):
    put(made.data_dir, Entry(what, until, 1.0, "alice", "ticket 12"), pending=pending)


def serve(made, scenario, *plugins):
    """Run a scenario with a server that records what it keeps."""
    records = []

    async def main():
        async with Server(made, plugins, VirtualClock(), records=records.append) as server:
            await scenario(LoopbackServer(server), records)

    asyncio.run(asyncio.wait_for(main(), 60))
    return records


def notices(records):
    return [(one.name, one.about) for one in records if type(one) is Notice]


async def reply_to_mail(server):
    client = await server.connect()
    client.send(MAIL)
    replies = await client.replies(3)
    await client.close()
    return replies[2]


async def until(ask, expected):
    """Ask again and again until the answer is the expected one."""
    while await ask() != expected:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


@pytest.mark.parametrize("pending", [True, False])
def test_a_running_server_uses_records_and_drops_an_entry(tmp_path, pending):
    made = config(tmp_path)

    async def scenario(server, records):
        assert await reply_to_mail(server) == "550 5.7.1 no"
        allow(made, "127.0.0.0/16", pending=pending)
        await until(lambda: reply_to_mail(server), "250 2.1.0 Sender ok")
        remove(made.data_dir, "127.0.0.0/16", by="bob", now=2.0, pending=pending)
        await until(lambda: reply_to_mail(server), "550 5.7.1 no")
        both = [("allow entry added", "alice"), ("allow entry removed", "bob")]
        if pending:
            await server.until(lambda: notices(records) == both)
        assert notices(records) == both * pending

    serve(made, scenario, plugin(**RULE))


def test_an_entry_that_has_ended_is_removed_and_recorded(tmp_path):
    made = config(tmp_path)
    allow(made, "127.0.0.0/16", until=1000.0, pending=False)

    async def scenario(server, records):
        assert await reply_to_mail(server) == "550 5.7.1 no"
        await server.until(lambda: notices(records))
        assert notices(records) == [("allow entry expired", "gatepost")]
        assert (made.data_dir / "allowed").read_text() == "# empty\n"

    serve(made, scenario, plugin(**RULE))


def test_a_policy_service_leaves_allowed_mail_to_the_mail_server(tmp_path):
    made = config(tmp_path)
    made = replace(made, listen=[replace(made.listen[0], protocol="policy", name="mta")])

    async def scenario(server, _records):
        asker, numbers = Asker(await server.connect()), itertools.count()

        def asked():
            return asker.rcpt(instance=str(next(numbers)))

        assert await asked() == "550 5.7.1 no"
        allow(made, "192.0.2.0/24")
        await until(asked, "DUNNO")
        await asker.client.close()

    serve(made, scenario, plugin(**RULE))


def test_a_milter_accepts_allowed_mail(tmp_path):
    made = milter_config(tmp_path)
    allow(made, "192.0.2.0/24")

    async def scenario(server):
        client = await server.mta()
        assert await client.mail(GOOD) == ["c", "c"]
        await client.close()

    run_milter(scenario, made, plugin(**RULE))
