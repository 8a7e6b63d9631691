"""The store of plugins in a server: shared by workers, kept over restarts, in memory for tests."""

import asyncio
import smtplib
from collections import Counter
from pathlib import Path

import pytest
from tests.process.supervised import Supervised, connect

from gatepost import Plugin, Server, SetupError, config_from_dict, defer
from gatepost.checks.report import make_report
from gatepost.plugin.services import namespace
from gatepost.testing import MemoryServer, MemoryStore, RunningServer, VirtualClock, play

LIMIT = """
from gatepost import Plugin, defer

class Limit(Plugin):
    async def on_rcpt(self, tx, rcpt):
        if await self.store.incr("recipients", ttl=3600) > 100:
            return defer(f"limit, worker {self.server.worker}")
"""
USES_LIMIT = '\n[[plugin]]\nuse = "limit.py"\n'


def replies(port, count):
    """Return the replies to recipients in one session."""
    with connect(port) as client:
        client.ehlo()
        client.mail("me@client.example")
        return [client.rcpt(f"u{number}@example.com") for number in range(count)]


def test_two_workers_share_a_limit(tmp_path):
    (tmp_path / "limit.py").write_text(LIMIT)
    with Supervised(tmp_path, extra=USES_LIMIT) as server:
        port = server.ready()
        found = [reply for _ in range(20) for reply in replies(port, 10)]
        assert Counter(code for code, _ in found) == {250: 100, 450: 100}
        while len({text.split(b"worker ")[1].split()[0] for code, text in found if code > 250}) < 2:
            found += replies(port, 1)
        assert server.stop() == 0


def test_the_count_is_kept_over_a_restart(tmp_path):
    (tmp_path / "limit.py").write_text(LIMIT)
    codes = []
    for _ in range(2):
        with Supervised(tmp_path, extra=USES_LIMIT) as server:
            codes += [code for code, _ in replies(server.ready(), 55)]
            assert server.stop() == 0
    assert codes == [250] * 100 + [450] * 10


class Once(Plugin):
    async def on_connect(self, session):
        return defer("again") if await self.store.add("seen", ttl=60) else None


TABLES = {
    "listen": [{"address": "127.0.0.1:0"}],
    "recipients": {"domains": ["example.com"]},
    "route": [{"to": "discard:"}],
}


def test_a_plugin_without_a_server_has_a_store_in_memory():
    plugin, other = Once(), Once()
    asyncio.run(plugin.store.incr("a"))
    assert asyncio.run(plugin.store.get("a")) == 1
    assert asyncio.run(other.store.get("a")) is None


def test_play_shares_a_store_in_memory_by_the_clock_of_the_test():
    store = MemoryStore()
    store.put("once", "other", "text")
    play("S: 421", [Once()], store=store)
    assert store.values("once") == {"other": "text", "seen": 1}
    play("S: 220", [Once()], store=store, now="2024-01-01T00:00:59")
    play("S: 421", [Once()], store=store, now="2024-01-01T00:01:00")


def test_a_running_server_has_a_store_in_memory():
    store = MemoryStore()
    with RunningServer([Once()], store=store) as server:
        with pytest.raises(smtplib.SMTPConnectError):
            smtplib.SMTP(*server.address)
        with smtplib.SMTP(*server.address):
            pass
    assert store.values("once") == {"seen": 1}
    assert store.values("absent") == {}


def test_token_buckets_are_not_values():
    store = MemoryStore(VirtualClock())
    asyncio.run(store.scope("one").take("bucket", rate=1, burst=1))
    assert store.values("one") == {}


def test_nothing_is_opened_unless_a_plugin_uses_the_store(tmp_path):
    async def scenario(use):
        config = config_from_dict(TABLES, base=tmp_path)
        once = Once()
        async with Server(config, [once]):
            if use:
                await once.store.incr("a")
            return (config.data_dir / "store").exists()

    assert not asyncio.run(scenario(use=False))
    assert asyncio.run(scenario(use=True))


def test_a_store_that_is_given_is_used_and_not_closed(tmp_path):
    store = MemoryStore()

    async def scenario():
        once = Once()
        async with Server(config_from_dict(TABLES, base=tmp_path), [once], store=store):
            await once.store.incr("a")

    asyncio.run(scenario())
    assert store.values("once") == {"a": 1}


def test_a_store_without_its_package_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("gatepost.store.opening.find_spec", lambda _name: None)
    tables = TABLES | {"store": {"url": "redis://127.0.0.1"}}
    text = "store.url: Redis needs the extra: pip install 'gatepost[redis]'"

    async def serve():
        async with Server(config_from_dict(tables, base=tmp_path)):
            pass

    with pytest.raises(SetupError) as caught:
        asyncio.run(serve())
    assert caught.value.problems == [text]
    file = tmp_path / "gatepost.toml"
    file.write_text(
        '[[listen]]\n[recipients]\ndomains = ["example.com"]\n[[route]]\nto = "discard:"\n'
        '[store]\nurl = "redis://127.0.0.1"\n'
    )
    assert make_report(file).errors == [text]


@pytest.mark.parametrize("name", ["", "two words", "gr\u00fcn", "x" * 65, "\udcff", "a/b"])
def test_any_name_of_a_plugin_has_a_namespace(name):
    assert namespace(name) == namespace(name) != namespace(name + "x")
    MemoryStore().put(name, "key", 1)


def test_plain_names_are_namespaces():
    assert namespace("grey_list-2.x") == "grey_list-2.x"


class Facts(Plugin):
    def on_connect(self, session):
        self.found = self.server


def test_a_plugin_reads_facts_about_its_server():
    config = config_from_dict(TABLES | {"server": {"hostname": "mx.example.com"}}, base=Path())

    async def scenario():
        facts = Facts()
        assert facts.server.hostname == "localhost"
        async with MemoryServer([facts], config=config) as server:
            await server.connect().reply()
        return facts.found

    found = asyncio.run(scenario())
    assert (found.hostname, found.worker, found.listeners) == ("mx.example.com", 0, ())
    assert found.version
