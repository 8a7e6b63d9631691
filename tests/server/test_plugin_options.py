"""Lists, files, folders and the resolver of plugins, as the server provides them."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.server.loopback import config

from gatepost import AddressList, File, Plugin, SetupError, deny
from gatepost.config.schema import DnsConfig, PluginConfig, RouteConfig
from gatepost.lists.watch import FileWatcher
from gatepost.net.cached_resolver import CachedResolver
from gatepost.net.resolver import DnsResolver
from gatepost.server.memory import MemoryServer
from gatepost.server.server import Server
from gatepost.testing import FakeResolver, RunningServer, play

BLOCK = """
from gatepost import AddressList, Plugin, deny

class Block(Plugin):
    class Options(Plugin.Options):
        blocked: AddressList = AddressList("file:blocked")

    def on_rcpt(self, tx, rcpt):
        return deny("blocked") if rcpt in self.options.blocked else None
"""


class Blocked(Plugin):
    class Options(Plugin.Options):
        blocked: AddressList = AddressList()

    def on_rcpt(self, tx, rcpt):
        return deny("blocked") if rcpt in self.options.blocked else None


class Reads(Plugin):
    class Options(Plugin.Options):
        text: File

    def start(self):
        self.text = self.options.text.read_text()

    def on_connect(self, session): ...


@pytest.fixture
def watchers(monkeypatch):
    """The watchers of a server; each refreshes its files only when a test calls `poll`."""
    made = []

    class Watcher(FileWatcher):
        def __init__(self, files, on_change):
            super().__init__(files, on_change, sleep=lambda _seconds: asyncio.Event().wait())
            made.append(self)

    monkeypatch.setattr("gatepost.server.server.FileWatcher", Watcher)
    return made


def run(program):
    return asyncio.run(asyncio.wait_for(program, 60))


def used(*uses):
    return [PluginConfig(use=use, options=options) for use, options in uses]


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "embedded"])
def test_the_lists_of_plugins_are_read_again(tmp_path, watchers, configured):
    path = tmp_path / "blocked"
    path.write_text("one@example.com\nnot an address\n")
    (tmp_path / "block.py").write_text(BLOCK)
    plugin = Blocked(blocked=f"file:{path}")
    # two plugins with one list: it is read once, and its problems are reported once
    settings = config(tmp_path, plugin=used(("block.py", {})) * 2 if configured else ())

    async def program():
        with capture_logs() as logs:
            async with Server(settings, [] if configured else [plugin]):
                path.write_text("two@example.com\n")
                await watchers[0].poll()
                path.write_text("")
                await watchers[0].poll()
        return logs

    logs = run(program())
    found = [(one["event"], one.get("problem", "")) for one in logs if "list" in one["event"]]
    assert [event for event, _ in found] == [
        "list line skipped",
        "list reloaded",
        "list reload failed",
    ]
    assert f"{path}:2: expected local-part@domain" in found[0][1]
    assert "found no entry, 1 before" in found[2][1]
    if not configured:
        assert "two@example.com" in plugin.options.blocked


def test_a_list_or_file_of_a_plugin_that_is_missing_keeps_the_server_from_starting(tmp_path):
    (tmp_path / "block.py").write_text(BLOCK)

    async def start(settings, *plugins):
        async with Server(settings, plugins):
            pass

    with pytest.raises(SetupError) as caught:
        run(start(config(tmp_path, plugin=used(("block.py", {})))))
    assert caught.value.problems == [
        f"{tmp_path}/blocked: cannot be read: No such file or directory"
    ]
    with pytest.raises(SetupError) as caught:
        run(start(config(tmp_path), Reads(text=str(tmp_path / "gone"))))
    assert caught.value.problems == [f"Reads: text: expected a file, found no file {tmp_path}/gone"]


def test_all_wrong_options_of_all_plugins_are_reported(tmp_path):
    (tmp_path / "block.py").write_text(BLOCK)
    uses = used(("block.py", {"blocked": 5, "x": 1}), ("block.py", {"blokced": []}))

    async def start():
        async with MemoryServer(config=config(tmp_path, plugin=uses, source="gatepost.toml")):
            pass

    with pytest.raises(SetupError) as caught:
        run(start())
    assert [one.partition(": expected")[0] for one in caught.value.problems] == [
        "gatepost.toml: block: plugin[0].options.x: unknown option; the options are: blocked",
        "gatepost.toml: block: plugin[0].options.blocked",
        (
            "gatepost.toml: block: plugin[1].options.blokced: unknown option; did you mean"
            ' "blocked"? The options are: blocked'
        ),
    ]


def test_a_plugin_has_the_data_folder_and_the_resolver_of_the_worker(tmp_path, watchers):
    plugins = [Blocked(), Blocked()]
    settings = config(tmp_path, dns=DnsConfig(servers=["192.0.2.53:53"]), to="mx:")

    async def program():
        async with Server(settings, plugins):
            return plugins[0].resolver

    resolver = run(program())
    assert isinstance(resolver, CachedResolver)
    assert plugins[1].resolver is resolver
    assert plugins[0].data_dir == tmp_path / "var"


def test_routes_and_plugins_share_the_given_resolver(tmp_path):
    made, plugin = FakeResolver(), Blocked()

    async def program():
        settings = config(tmp_path, to="mx:")
        async with MemoryServer([plugin], config=settings, resolver=made) as server:
            return server.setup.router.routes

    (route,) = run(program())
    assert route.target._resolver is plugin.resolver is made


class NamedClient(Plugin):
    async def on_connect(self, session):
        names = await self.resolver.ptr(session.peer.host)
        return deny(f"you are {names[0]}")


def test_a_resolver_for_tests_is_handed_in():
    dns = FakeResolver(ptr={"192.0.2.1": "client.example", "127.0.0.1": "localhost"})
    play("S: 554 5.7.1 you are client.example", [NamedClient()], resolver=dns)
    with RunningServer([NamedClient()], resolver=dns) as server:
        assert b"you are localhost" in _greeting(server.address)


def test_without_a_resolver_no_name_exists_in_tests():
    play("S: 451 4.3.0*", [NamedClient()])


def _greeting(address):
    import socket

    with socket.create_connection(address, timeout=60) as client:
        return client.recv(1000)


def test_a_route_of_an_embedding_program_has_a_resolver(tmp_path):
    from gatepost.delivery.registry import make_target

    target = make_target(RouteConfig(to="mx:"), base=tmp_path, hostname="mx.example.com")
    assert isinstance(target._resolver, DnsResolver)
