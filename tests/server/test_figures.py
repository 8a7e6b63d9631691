"""The status of a server, and its exposition for programs that embed it."""

import asyncio
import os
import sqlite3
import time
from contextlib import suppress

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from tests.server.loopback import ENVELOPE, MESSAGE, config, run
from tests.server.tls import tls_config

from gatepost import Plugin, ResolveError, Server
from gatepost.config.schema import DnsConfig, RecipientsConfig, RouteConfig, TrapsConfig
from gatepost.ledger.records import Notice
from gatepost.metrics.status import MOST_SERIES, decode, encode
from gatepost.net.dns_status import DnsStatus
from gatepost.server import figures
from gatepost.testing import FakeResolver, MemoryTable


class Counting(Plugin):
    def on_rcpt(self, _tx, _rcpt):
        self.metrics.counter("seen").inc()

    async def on_data(self, _tx):
        await asyncio.sleep(0)


def served(folder, scenario, plugins=(), **more):
    async def main():
        async with Server(config(folder, **more), plugins) as server:
            return await scenario(server)

    return asyncio.run(main())


async def session(server, lines=b""):
    host, _, port = server.addresses[0][1].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(lines)
    return reader, writer


def test_the_status_describes_the_process(tmp_path):
    async def scenario(server):
        await server.measure()
        _, writer = await session(server)
        found = server.status(dropped=7)
        writer.close()
        return found

    began = time.time()
    found = served(tmp_path, scenario)
    assert decode(encode(found)) == found
    assert (found.pid, found.sessions, found.dropped) == (os.getpid(), 1, 7)
    assert found.connections == {"": 1}
    assert began <= found.started <= found.time
    assert found.memory > 1 << 20
    assert found.files > 3
    assert found.cpu > 0
    assert not found.store_degraded


def test_plugins_are_in_the_status(tmp_path):
    async def scenario(server):
        reader, writer = await session(server, ENVELOPE + b"DATA\r\n" + MESSAGE + b"QUIT\r\n")
        await reader.read()
        writer.close()
        return server.status(), await server.exposition()

    found, (text, media_type) = served(tmp_path, scenario, [Counting()])
    assert [(one.name, one.value) for one in found.plugins] == [
        ("gatepost_plugin_counting_seen", 1)
    ]
    (waited,) = [one for one in found.hooks if one.hook == "on_data"]
    assert (waited.plugin, sum(waited.counts)) == ("counting", 1)
    samples = {
        one.name: one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }
    assert samples["gatepost_plugin_counting_seen_total"] == 1
    assert media_type.startswith("text/plain")


class Asking(Plugin):
    async def on_connect(self, _session):
        for _ in range(2):
            with suppress(ResolveError):
                await self.resolver.a("example.com")


def test_dns_lookups_are_in_the_status(tmp_path):
    async def scenario(server):
        _, writer = await session(server)
        writer.close()
        return server.status().dns

    found = served(tmp_path, scenario, [Asking()], dns=DnsConfig(servers=["127.0.0.1:1"]))
    assert found.lookups == {"cache": 1, "query": 1}
    assert found.queries == {"timeout": 1}
    assert found.entries == 1


def test_a_resolver_of_the_program_has_no_figures(tmp_path):
    async def main():
        async with Server(config(tmp_path), resolver=FakeResolver()) as server:
            return server.status().dns

    assert asyncio.run(main()) == DnsStatus()


def test_records_are_counted_in_the_exposition(tmp_path):
    async def scenario(server):
        server.counting.record(Notice(1.0, "started"))
        return await server.exposition("application/openmetrics-text")

    text, media_type = served(tmp_path, scenario)
    assert b'gatepost_notices_total{name="started"} 1.0\n' in text
    assert media_type.startswith("application/openmetrics-text")


def test_lists_are_in_the_status(tmp_path):
    (tmp_path / "traps").write_text("a@example.com\nb@example.com\n")

    async def scenario(server):
        return server.status()

    began = time.time()
    found = served(tmp_path, scenario, traps=TrapsConfig(lists=["traps"]))
    (one,) = found.lists
    assert (one.path, one.entries, one.problem) == (str(tmp_path / "traps"), 2, "")
    assert began <= one.loaded <= found.time


def test_mail_in_the_queue_is_in_the_status(tmp_path):
    target = "lmtp://127.0.0.1:1"
    made = config(tmp_path)
    made.route[0] = RouteConfig(to=target, mode="queue")

    async def scenario():
        async with Server(made) as server:
            reader, writer = await session(server, ENVELOPE + b"DATA\r\n" + MESSAGE + b"QUIT\r\n")
            await reader.read()
            writer.close()
            while not (found := server.status()).queue:
                await server.measure()
            return found

    found = asyncio.run(scenario())
    (one,) = found.queue
    assert one.destination == target
    assert one.active + one.deferred == 1
    assert 0 < found.oldest <= found.time


def test_a_spool_that_cannot_be_read_keeps_the_last_result(tmp_path, monkeypatch):
    def fails(*_arguments):
        raise sqlite3.OperationalError("disk I/O error")

    async def scenario(server):
        monkeypatch.setattr(figures, "depth_of_files", fails)
        await server.measure()
        return server.status()

    assert served(tmp_path, scenario).queue == []


def test_a_slow_measurement_is_repeated_later(tmp_path):
    async def scenario(server):
        times = iter([0.0, 1.0, figures.PAUSES, figures.PAUSES + 1.0, 100.0])
        one, measured = server._figures, []
        for _ in range(3):
            before = one._measured
            one.measure(lambda: next(times))
            measured.append(one._measured is not before)
        return measured

    assert served(tmp_path, scenario) == [True, False, True]


def test_the_series_of_plugins_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "MOST_SERIES", 2)
    plugin = Counting()
    for number in range(5):
        plugin.metrics.gauge("g", number=str(number)).set(1)

    async def scenario(server):
        return server.status()

    assert len(served(tmp_path, scenario, [plugin]).plugins) == 2 < MOST_SERIES


def test_a_server_that_has_not_started_has_no_status(tmp_path):
    with pytest.raises(RuntimeError, match="not started"):
        Server(config(tmp_path)).status()


def test_the_delay_of_the_event_loop_is_that_since_the_last_status(tmp_path, loop):
    async def scenario(running):
        connections = running.connections
        connections._lag = 0.25
        assert connections.take_lag() == 0.25
        assert connections.take_lag() == 0.0

    run(scenario, config(tmp_path), loop=loop)


def test_certificates_are_in_the_status(tmp_path):
    async def scenario():
        async with Server(tls_config(tmp_path, "starttls")) as server:
            return server.status()

    (one,) = asyncio.run(scenario()).certificates
    assert (list(one.names), one.problem) == (["*"], "")
    assert one.expires > time.time()


def test_look_ups_in_tables_are_in_the_status(tmp_path):
    table = MemoryTable({"one@example.com": ""})
    known = RecipientsConfig(domains=["example.com"], known=["memory:users"])
    made = replace(config(tmp_path), recipients=known)

    async def main():
        async with Server(made, tables={"memory:users": table}) as server:
            reader, writer = await session(server, ENVELOPE * 2)
            for _ in range(5):
                reply = await reader.readline()
                while reply[3:4] == b"-":
                    reply = await reader.readline()
            writer.close()
            return server.status().tables

    (found,) = asyncio.run(main())
    assert (found.name, found.asked, found.answered, found.failed) == ("memory:test", 2, 1, 0)
    assert found.cached >= 1
