"""`self.table`: a table that the server starts and stops."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gatepost import Plugin, SetupError, Table, TableName, accept, deny
from gatepost.config.schema import Config, RecipientsConfig
from gatepost.server.memory import MemoryServer
from gatepost.testing import MemoryTable, play

RCPT = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<{sender}>
    S: 250
    C: RCPT TO:<user@example.com>
    S: {reply}
"""


class Allowed(Plugin):
    """Accept only senders that are in a table."""

    class Options(Plugin.Options):
        table: TableName = TableName("memory:senders")

    senders: Table

    def start(self):
        self.senders = self.table(self.options.table)

    async def on_rcpt(self, tx, rcpt):
        found = await self.senders.ask([tx.reverse_path.key])
        return accept() if found else deny("not allowed", reason="sender")


class CountedTable(MemoryTable):
    """A table that counts its starts and stops."""

    started = stopped = 0

    async def start(self):
        self.started += 1

    async def stop(self):
        self.stopped += 1


@pytest.mark.parametrize(
    ("sender", "reply"),
    [("a@client.example", "250"), ("b@client.example", "550 5.7.1 not allowed*")],
)
def test_a_plugin_looks_a_key_up(sender, reply):
    tables = {"memory:senders": MemoryTable({"a@client.example": ""})}
    play(RCPT.format(sender=sender, reply=reply), [Allowed()], tables=tables)


def test_a_table_that_fails_is_a_failure_of_the_plugin():
    table = MemoryTable({"a@client.example": ""})
    table.failure = "no connection"
    with capture_logs() as lines:
        play(
            RCPT.format(sender="a@client.example", reply="451 4.3.0*"),
            [Allowed()],
            tables={"memory:senders": table},
        )
    assert [one["event"] for one in lines if one["log_level"] == "error"] == ["table unavailable"]


def test_the_server_starts_and_stops_a_table_of_two_plugins_once():
    table = CountedTable()
    play("S: 220", [Allowed(), Allowed()], tables={"memory:senders": table})
    assert (table.started, table.stopped) == (1, 1)


def test_a_wrong_specification_keeps_the_server_from_starting():
    with pytest.raises(SetupError) as found:
        play("S: 220", [Allowed(table="mysql:x", options_for={"example.com": {"table": "y"}})])
    assert [one.split(" such as")[0] for one in found.value.problems] == [
        "Allowed: table: expected a table",
        'Allowed: options_for."example.com".table: expected a table',
    ]


def test_an_option_of_another_type_is_an_error():
    with pytest.raises(ValueError, match=r'expected a table such as "lmdb:NAME".*, found 1'):
        Allowed(table=1)


def test_a_plugin_without_a_server_has_tables(tmp_path):
    (tmp_path / "users").write_text("kim@example.com note\n")
    table = Allowed().table(f"file:{tmp_path}/users")
    assert asyncio.run(table.ask(["kim@example.com"])) == {"kim@example.com": "note"}


def test_a_file_that_is_missing_keeps_the_server_from_starting(tmp_path):
    config = Config(base=tmp_path, recipients=RecipientsConfig(domains=["example.com"]))

    async def run():
        async with MemoryServer([Allowed(table="file:nowhere")], config=config):
            raise AssertionError("started")

    with pytest.raises(SetupError, match="table file:nowhere: "):
        asyncio.run(run())
