"""Scanners that are away, hang, close early, answer nonsense, or are asked by many clients."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs
from tests.plugins.scanners import (
    HELLO,
    Seen,
    installed,
    large,
    mail,
    sent,
    service,
    twenty_clients,
)

from gatepost import Plugin, deny
from gatepost.plugins.clamav import Clamav
from gatepost.plugins.rspamd import Rspamd
from gatepost.plugins.spamassassin import Spamassassin
from gatepost.testing import MemoryServer, VirtualClock, perform, play_async

pytest.importorskip("aiohttp")
CONTENT = "Subject: x\n\ntext"
DEFERRED = "451 4.3.0 Temporary local problem*"


async def read_chunks(reader):
    await reader.readexactly(10)
    while size := int.from_bytes(await reader.readexactly(4), "big"):
        await reader.readexactly(size)


async def read_by_length(reader):
    """Read a head with a Content-Length, and so many octets."""
    head = await reader.readuntil(b"\r\n\r\n")
    left = int(head.lower().split(b"content-length: ")[1].split()[0])
    while left:
        left -= len(await reader.readexactly(min(left, 65536)))


class Kind(NamedTuple):
    """A scanner: its plugin, a function that reads a request, and the answer that it likes."""

    plugin: type
    read: Callable
    good: bytes


SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; 0.0 / 5.0\r\n\r\n"
KINDS = [
    Kind(Clamav, read_chunks, b"stream: OK\0"),
    Kind(
        Rspamd,
        read_by_length,
        b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"action":"no action"}',
    ),
    Kind(Spamassassin, read_by_length, SPAMD),
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plugin.__name__)


class Scanning:
    """A plugin and its service, whose behaviour can change."""

    def __init__(self, folder, kind, **options):
        self.path = folder / kind.plugin.__name__
        self.kind = kind
        self.seen = Seen()
        self.requests = 0
        self.plugin = kind.plugin(server=f"unix:{self.path}", **options)

    @asynccontextmanager
    async def serving(self, behave=None):
        async def handle(reader, writer):
            self.requests += 1
            await (behave or answer)(self.kind, reader, writer)

        async with service(self.path, handle):
            yield

    def play(self, behave, reply, *, content=CONTENT, **installation):
        """Send a message; return what was played."""

        async def scenario():
            async with self.serving(behave):
                plugins = [installed(self.plugin, **installation), self.seen]
                return await sent(plugins, content, reply)

        return asyncio.run(scenario())


async def answer(kind, reader, writer):
    await kind.read(reader)
    writer.write(kind.good)
    await writer.drain()


async def hang(_kind, _reader, _writer):
    await asyncio.Event().wait()


async def stay_silent(kind, reader, _writer):
    await kind.read(reader)
    await asyncio.Event().wait()


async def close_at_once(_kind, _reader, _writer):
    pass


async def close_early(_kind, reader, _writer):
    await reader.readexactly(4)


async def close_without_an_answer(kind, reader, _writer):
    await kind.read(reader)


async def answer_in_part(kind, reader, writer):
    await kind.read(reader)
    writer.write(kind.good[:-3])


async def answer_nonsense(kind, reader, writer):
    await kind.read(reader)
    writer.write(b"\xff\r\n\0nonsense\0")


async def answer_without_end(_kind, _reader, writer):
    while True:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65536)
        await writer.drain()


async def drip(_kind, _reader, writer):
    while True:
        writer.write(b" ")
        await asyncio.sleep(0)


BROKEN = [
    *(hang, stay_silent, close_at_once, close_early, close_without_an_answer, answer_in_part),
    *(answer_nonsense, answer_without_end, drip),
]


@each_kind
@pytest.mark.parametrize("behave", BROKEN)
def test_a_scanner_that_does_not_answer_defers_mail(tmp_path, kind, behave):
    scanning = Scanning(tmp_path, kind, timeout="200ms")
    played = scanning.play(behave, DEFERRED)
    assert [one.value for one in scanning.seen.results] == ["temperror"]
    assert played.messages == []
    name = scanning.plugin.name
    assert played.metrics.value(f"gatepost_plugin_{name}_messages", result="temperror") == 1


@each_kind
@pytest.mark.parametrize("behave", [hang, close_early])
def test_a_large_message_to_a_scanner_that_does_not_read_is_deferred(tmp_path, kind, behave):
    Scanning(tmp_path, kind, timeout="200ms").play(behave, DEFERRED, content=large(400_000))


@each_kind
@pytest.mark.parametrize(
    ("installation", "reply"),
    [
        ({"on_error": "skip"}, "250"),
        ({"on_error": "deny"}, "554 5.3.0 Local policy failed*"),
        ({"shadow": True}, "250"),
    ],
)
def test_on_error_decides(tmp_path, kind, installation, reply):
    played = Scanning(tmp_path, kind).play(close_at_once, reply, **installation)
    assert len(played.messages) == (reply == "250")


@each_kind
def test_without_a_scanner_mail_is_deferred(tmp_path, kind):
    plugin = kind.plugin(server=f"unix:{tmp_path}/absent")
    asyncio.run(sent([plugin], CONTENT, DEFERRED))


@each_kind
def test_an_outage_pauses_and_is_logged_once(tmp_path, kind):
    """Three failures open the breaker; ten seconds later one message tries again."""
    scanning = Scanning(tmp_path, kind, timeout="500ms")
    times = ["00:00:00"] * 5 + ["00:00:11"] * 2
    asked = []

    async def scenario():
        async with scanning.serving(hang):
            for time in times:
                before = scanning.requests
                await sent([scanning.plugin], CONTENT, DEFERRED, now=f"2024-01-01T{time}")
                asked.append(scanning.requests - before)
        scanning.plugin.options.timeout = 60.0
        async with scanning.serving():
            for time in ("00:00:12", "00:00:22", "00:00:22"):
                reply = DEFERRED if time == "00:00:12" else "250"
                await sent([scanning.plugin], CONTENT, reply, now=f"2024-01-01T{time}")

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert asked == [1, 1, 1, 0, 0, 1, 0]
    events = [one["event"] for one in logs if one["event"].startswith(("scanner", "plugin"))]
    assert events == ["scanner unavailable", "scanner available"]


@each_kind
@pytest.mark.parametrize("behave", [close_early, answer_in_part, answer_nonsense])
def test_a_message_on_which_the_scanner_fails_pauses_nothing(tmp_path, kind, behave):
    """One such failure in a minute is logged, with the number of those since."""
    scanning = Scanning(tmp_path, kind)

    async def scenario():
        async with scanning.serving(behave):
            for time in (*["00:00:00"] * 4, "00:01:01"):
                await sent([scanning.plugin], CONTENT, DEFERRED, now=f"2024-01-01T{time}")
        async with scanning.serving():
            await sent([scanning.plugin], CONTENT, now="2024-01-01T00:01:01")

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert scanning.requests == 6
    failures = [one for one in logs if one["event"].startswith(("scan", "plugin"))]
    assert [one["event"] for one in failures] == ["scan failed"] * 2
    assert [one.get("omitted") for one in failures] == [None, 3]


@each_kind
def test_twenty_clients_are_answered_with_a_few_scans_at_a_time(tmp_path, kind):
    scanning = Scanning(tmp_path, kind, most=3)
    running, highest = 0, 0

    async def counted(kind, reader, writer):
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await answer(kind, reader, writer)
        running -= 1

    async def scenario():
        async with scanning.serving(counted):
            return await twenty_clients([scanning.plugin], CONTENT)

    assert len(asyncio.run(scenario())) == 20
    assert highest <= 3


@each_kind
def test_twenty_clients_of_a_scanner_that_hangs_are_all_deferred(tmp_path, kind):
    scanning = Scanning(tmp_path, kind, most=3, timeout="100ms")

    async def scenario():
        async with scanning.serving(hang):
            return await twenty_clients([scanning.plugin], CONTENT, DEFERRED)

    assert asyncio.run(scenario()) == []


def test_a_message_that_gets_no_turn_in_time_is_no_outage(tmp_path):
    """There is no pause: the scanner is asked as soon as there is a turn again."""
    scanning = Scanning(tmp_path, KINDS[0], most=1, timeout="50ms")

    async def scenario():
        async with scanning.serving():
            async with scanning.plugin._turns:
                for _ in range(4):
                    await sent([scanning.plugin, scanning.seen], CONTENT, DEFERRED)
            scanning.plugin.options.timeout = 60.0
            await sent([scanning.plugin, scanning.seen], CONTENT)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [one.value for one in scanning.seen.results] == ["temperror"] * 4 + ["clean"]
    assert not [one for one in logs if one["event"].startswith("scanner")]


# Several scanners


def test_scanners_are_asked_at_the_same_time(tmp_path):
    """Each answers when the other has the message too."""
    scannings = [Scanning(tmp_path, kind) for kind in KINDS]
    together = asyncio.Barrier(len(KINDS))

    async def wait(kind, reader, writer):
        await kind.read(reader)
        await together.wait()
        writer.write(kind.good)

    async def scenario():
        async with (
            scannings[0].serving(wait),
            scannings[1].serving(wait),
            scannings[2].serving(wait),
        ):
            return await sent([one.plugin for one in scannings], CONTENT)

    assert len(asyncio.run(scenario()).messages) == 1
    assert [one.requests for one in scannings] == [1] * len(KINDS)


def test_no_scan_begins_for_a_message_that_is_refused_before(tmp_path):
    class Refuse(Plugin):
        before = frozenset({"clamav"})

        def on_message(self, tx):
            return deny("no")

    scanning = Scanning(tmp_path, KINDS[0])

    async def scenario():
        async with scanning.serving():
            await sent([scanning.plugin, Refuse()], CONTENT, "554 5.7.1 no*")

    asyncio.run(scenario())
    assert scanning.requests == 0


def test_a_refusal_does_not_wait_for_the_other_scanners(tmp_path):
    """The slow scan is cancelled: its connection ends."""
    fast = Scanning(tmp_path, KINDS[0])
    slow = Scanning(tmp_path, KINDS[1])
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait_for_the_end(kind, reader, _writer):
        begun.set()
        await kind.read(reader)
        assert await reader.read() == b""
        ended.set()

    async def refuse_when_both_have_begun(kind, reader, writer):
        await kind.read(reader)
        await begun.wait()
        writer.write(b"stream: Eicar FOUND\0")

    async def scenario():
        async with slow.serving(wait_for_the_end), fast.serving(refuse_when_both_have_begun):
            played = await sent([fast.plugin, slow.plugin], CONTENT, "554")
            await ended.wait()
            return played

    assert [one.plugin for one in asyncio.run(scenario()).decisions] == ["clamav"]


def test_a_client_that_leaves_ends_the_scan(tmp_path):
    scanning = Scanning(tmp_path, KINDS[0])
    ended, begun = asyncio.Event(), asyncio.Event()

    async def wait_for_the_end(kind, reader, _writer):
        await kind.read(reader)
        begun.set()
        await reader.read()
        ended.set()

    async def scenario():
        async with (
            scanning.serving(wait_for_the_end),
            MemoryServer([scanning.plugin], clock=VirtualClock("2024-01-01")) as server,
        ):
            client = server.connect(("198.51.100.7", 50000))
            transcript = HELLO + mail(CONTENT)
            work = asyncio.create_task(perform(client, transcript))
            await begun.wait()
            work.cancel()
            await asyncio.wait({work})
            await client.close()
            await ended.wait()
            return server.messages

    assert asyncio.run(scenario()) == []


def test_the_time_out_of_the_hook_ends_only_the_scan_of_its_plugin(tmp_path):
    """The scan of the other one begins again if it was cancelled too."""
    slow, other = Scanning(tmp_path, KINDS[0]), Scanning(tmp_path, KINDS[1])

    async def scenario():
        async with slow.serving(hang), other.serving():
            plugins = [installed(slow.plugin, on_error="skip", timeout=0.1), other.plugin]
            return await play_async(HELLO + mail(CONTENT), plugins)

    assert len(asyncio.run(scenario()).messages) == 1


@each_kind
def test_the_next_server_is_asked_if_one_accepts_no_connection(tmp_path, kind):
    scanning = Scanning(tmp_path, kind)
    present = scanning.plugin.options.server
    plugin = kind.plugin(server=[f"unix:{tmp_path}/absent", present, f"unix:{tmp_path}/other"])

    async def scenario():
        async with scanning.serving():
            return [await sent([plugin], CONTENT) for _ in range(2)]

    with capture_logs() as logs:
        assert all(one.messages for one in asyncio.run(scenario()))
    assert scanning.requests == 2
    assert not [one for one in logs if one["event"].startswith("scan")]


@each_kind
def test_a_server_that_hangs_is_the_last_one_afterwards(tmp_path, kind):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    hanging, answering = (Scanning(folder, kind) for folder in (tmp_path / "a", tmp_path / "b"))
    servers = [one.plugin.options.server for one in (hanging, answering)]
    plugin = kind.plugin(server=servers, timeout="1s")

    async def scenario():
        async with hanging.serving(hang), answering.serving():
            await play_async(HELLO + mail(CONTENT, DEFERRED) + mail(CONTENT), [plugin])

    asyncio.run(scenario())


@each_kind
def test_no_server_of_several_accepts_connections(tmp_path, kind):
    plugin = kind.plugin(server=[f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"])
    asyncio.run(sent([plugin], CONTENT, DEFERRED))


@each_kind
def test_a_list_of_servers_is_not_empty(kind):
    with pytest.raises(ValueError, match="at least one"):
        kind.plugin(server=[])
