"""Simultaneous connections are limited over all workers."""

import asyncio
import gc

import pytest
from tests.plugins.states import LOGIN, OPEN, WITH_AUTH, Add, Login, TroubledStore, mail

from gatepost.plugin.base import Installed
from gatepost.plugins.concurrency import Concurrency
from gatepost.testing import MemoryServer, MemoryStore, VirtualClock, perform, play

REFUSED = "421 4.7.1 Too many simultaneous connections, try again later*"
PERIOD = 60


def limit(most=1, by=("network",), **more):
    """Return a plugin with one rule."""
    return Concurrency(rules=[{"name": "one", "most": most, "by": list(by), **more}])


class Machine:
    """Servers with one store and one clock, as several workers; each has a plugin of its own."""

    def __init__(self, make=limit, plugins=(), **options):
        self.clock = VirtualClock()
        self.store = MemoryStore(self.clock)
        self._make, self._plugins, self._options = make, plugins, options
        self.servers = []

    async def start(self):
        plugins = [*self._plugins, self._make()]
        server = MemoryServer(plugins, clock=self.clock, store=self.store, **self._options)
        await server.__aenter__()
        self.servers.append(server)
        return server

    async def advance(self, seconds):
        """Move the clock on; the periodic methods of all servers run."""
        await asyncio.sleep(0)
        await self.servers[0].advance(seconds)
        for server in self.servers:
            await server.setup.plugins.settle()

    async def stop(self):
        for server in self.servers:
            await server.__aexit__(None, None, None)


def run(scenario, *args, **options):
    async def main():
        machine = Machine(*args, **options)
        try:
            await scenario(machine)
        finally:
            await machine.stop()

    asyncio.run(main())


async def connect(server, transcript="S: 220", peer="192.0.2.1"):
    client = server.connect((peer, 50000))
    await perform(client, transcript)
    return client


def test_one_more_connection_is_refused_until_another_ends():
    async def scenario(machine):
        server = await machine.start()
        first = await connect(server)
        await connect(server, f"S: {REFUSED}")
        await connect(server, f"S: {REFUSED}", peer="192.0.2.9")
        await connect(server, peer="198.51.100.1")
        await first.close()
        await connect(server)

    run(scenario)


def test_workers_count_together():
    async def scenario(machine):
        one, other = await machine.start(), await machine.start()
        first = await connect(one)
        await connect(other, f"S: {REFUSED}")
        await machine.advance(5 * PERIOD)
        await connect(other, f"S: {REFUSED}")
        await first.close()
        last = await connect(other)
        await connect(one, f"S: {REFUSED}")
        await machine.advance(PERIOD)
        await last.close()
        await machine.advance(PERIOD / 2)
        await connect(one)

    run(scenario)


def test_sessions_are_announced_before_a_period_begins():
    async def scenario(machine):
        await connect(await machine.start())
        await machine.advance(PERIOD)
        period = int(machine.clock.time() // PERIOD) + 1
        assert machine.store.values("concurrency")[f"{period} one 192.0.2.0/24"] == 1

    run(scenario)


def test_many_connections_over_many_periods_are_counted_exactly():
    async def scenario(machine):
        servers = [await machine.start() for _ in range(3)]
        clients = []
        for number in range(12):
            clients.append(await connect(servers[number % 3]))
            await machine.advance(17)
            if number % 3 == 2:
                await clients.pop(0).close()
                await machine.advance(7)
        free = 10 - len(clients)
        for number in range(free):
            await connect(servers[number % 3])
        await connect(servers[0], f"S: {REFUSED}")

    run(scenario, lambda: limit(10))


def test_the_connections_of_a_killed_worker_end():
    async def scenario(machine):
        killed, other = await machine.start(), await machine.start()
        await connect(killed)
        await machine.advance(PERIOD)
        plugin = killed._plugins[-1]
        plugin._held.clear()  # it announces nothing any more
        await connect(other, f"S: {REFUSED}")
        await machine.advance(2 * PERIOD)
        await connect(other)

    run(scenario)


def test_a_session_that_ends_without_a_notice_is_not_announced_again():
    async def scenario(machine):
        server = await machine.start()
        plugin = server._plugins[-1]
        client = await connect(server)
        plugin.on_disconnect = lambda session: None
        await connect(server, f"S: {REFUSED}")
        await client.close()
        del client
        gc.collect()
        assert [held for held in plugin._held if held.keys] == []

    run(scenario)


def test_a_store_that_was_emptied_counts_again_after_a_period():
    async def scenario(machine):
        server = await machine.start()
        first = await connect(server)
        machine.store._memory._namespaces.clear()
        await machine.advance(2 * PERIOD)
        await connect(server, f"S: {REFUSED}")
        machine.store._memory._namespaces.clear()
        await first.close()  # the counter is negative now
        await machine.advance(2 * PERIOD)
        await connect(server)
        await connect(server, f"S: {REFUSED}")

    run(scenario)


@pytest.mark.parametrize("kind", ["down", "read-only", "late"])
def test_a_worker_counts_alone_while_the_store_fails(kind):
    async def scenario(machine):
        machine.store = TroubledStore(kind)
        machine.store.clock = machine.clock
        server = await machine.start()
        first = await connect(server)
        await connect(server, f"S: {REFUSED}")
        await first.close()
        await connect(server)

    run(scenario)


def test_users_are_counted_at_mail():
    async def scenario(machine):
        server = await machine.start()
        refused = mail("").split("S: 250")[0] + f"S: {REFUSED.replace('421', '450')}\n"
        first = await connect(server, LOGIN + mail(), peer="127.0.0.1")
        second = await connect(server, LOGIN + refused * 2, peer="198.51.100.1")
        await connect(server, OPEN + mail())
        await first.close()
        await perform(second, mail())

    run(scenario, lambda: limit(by=["user"]), plugins=[Login()], config=WITH_AUTH)


def test_a_rule_by_asn_needs_the_result_of_geo():
    async def scenario(machine):
        server = await machine.start()
        await connect(server)
        await connect(server, f"S: {REFUSED}", peer="198.51.100.1")

    geo = Add(connect=(("geo", "found", {"asn": 64500}),))
    run(scenario, lambda: limit(by=["asn"]), plugins=[geo])


@pytest.mark.parametrize(
    ("reaction", "reply"),
    [("deny", "554 5.7.1 Too many simultaneous connections*"), ("none", 220), (2, 220)],
)
def test_reactions(reaction, reply):
    async def scenario(machine):
        server = await machine.start()
        await connect(server)
        await connect(server, f"S: {reply}")
        metrics = server.metrics
        assert metrics.value("gatepost_plugin_concurrency_exceeded", rule="one") == 1

    run(scenario, lambda: limit(reaction=reaction))


def test_in_shadow_mode_nothing_is_refused():
    async def scenario(machine):
        server = await machine.start()
        for _ in range(3):
            await connect(server)

    run(scenario, lambda: Installed(limit(), shadow=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "fe80::1%eth0", ""])
def test_clients_inside_have_no_limit(host):
    async def scenario(machine):
        server = await machine.start()
        for _ in range(3):
            await connect(server, peer=host)

    run(scenario)


def test_a_real_store_is_left_with_nothing_counted(play_real):
    for _ in range(3):
        play_real("S: 220", [limit()])


@pytest.mark.slow
def test_connections_are_greeted_while_redis_never_answers(play_silent):
    play_silent("S: 220", [limit()])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"rules": []}, "rules: expected at least one rule"),
        ({"rules": [{"name": "a", "most": 0}]}, "most: expected at least 1, found 0"),
        ({"rules": [{"name": "a", "most": 1}], "period": 5}, "expected a period from 10s to 1h"),
        ({"rules": [{"name": "a", "most": 1, "by": ["sender"]}]}, r"rules\[0\].by\[0\]"),
    ],
)
def test_wrong_options(options, expected):
    with pytest.raises(ValueError, match=expected):
        Concurrency(**options)


def test_one_rule_can_be_for_all_clients():
    store = MemoryStore()
    played = play("S: 220", [limit(by=())], store=store)
    assert played.decisions == []
