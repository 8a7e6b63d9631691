"""The sessions of a process, as its control socket shows and ends them."""

import asyncio
import contextlib
import json
import os
import socket
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.server import milter
from tests.server.loopback import ENVELOPE, HELO, LOOPS, MESSAGE, LoopbackServer, config
from tests.server.tls import tls_config
from tests.wire import mta as packets

from gatepost import Plugin
from gatepost.config.schema import ServerConfig
from gatepost.ledger.records import Connection
from gatepost.process.live import NotRunningError, end_sessions, live_sessions, live_status
from gatepost.server import control_socket, live
from gatepost.server.control_socket import (
    FOLDER,
    MAX_REQUEST,
    OPEN,
    Request,
    RequestError,
    SessionsRequest,
    read_request,
)
from gatepost.server.live import LiveSession
from gatepost.server.server import Server
from gatepost.wire import events as e
from gatepost.wire.milter.events import Reported

ENDED = "421 4.3.2 Session ended by the administrator, try again later"
EVERY = SessionsRequest()


class Waiting(Plugin):
    """Waits in a hook until `go_on` is set; `waits` is set meanwhile."""

    def __init__(self, hook):
        super().__init__()
        self.waits, self.go_on, self.cancelled = asyncio.Event(), asyncio.Event(), False
        setattr(self, f"on_{hook}", self._wait)

    async def _wait(self, *_args):
        self.waits.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def serve(folder, scenario, plugins=(), *, loop="asyncio", made=None, **options):
    """Run a server with a control socket, and `scenario` with it and its data folder."""

    async def main():
        data = ServerConfig(data_dir=str(folder / "var"))
        made_config = made or config(folder, server=data)
        options.setdefault("control", True)
        async with Server(made_config, plugins, **options) as server:
            running = LoopbackServer(server)
            running.data = made_config.data_dir
            return await scenario(running)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(main(), 60))


async def listed(running, request=EVERY):
    return await asyncio.to_thread(live_sessions, running.data, request)


async def raw(running, octets):
    """Send octets to the control socket; return the lines of the answer."""
    (path,) = (running.data / FOLDER).iterdir()
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(octets)
    lines = []
    with contextlib.suppress(ConnectionError):  # it was closed without reading
        writer.write_eof()
        lines = (await reader.read()).splitlines()
    writer.close()
    return [json.loads(line) for line in lines]


def test_a_session_is_shown_with_its_facts(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE)
        await client.replies(4)
        found = await listed(running)
        await client.close()
        return found, client.writer

    found, _ = serve(tmp_path, scenario, loop=loop)
    (one,) = found.sessions
    assert (found.matched, found.silent) == (1, [])
    assert one.client.startswith("127.0.0.1:")
    assert (one.helo, one.sender, one.recipients, one.step) == ("x", "", 1, "rcpt")
    assert one.transaction.startswith(one.ref)
    assert (one.protocol, one.busy, one.plugin, one.received) == ("smtp", False, "", len(ENVELOPE))
    assert one.sent > 0
    assert one.idle >= 0
    (worker,) = found.workers
    assert (worker.pid, worker.sessions, worker.worker) == (os.getpid(), 1, 0)
    assert worker.cpu > 0


@pytest.mark.parametrize(
    ("sent", "replies", "step"),
    [
        (b"", 1, "connect"),
        (HELO, 2, "helo"),
        (HELO + b"MAIL FROM:<me@example.org>\r\n", 3, "mail"),
        (ENVELOPE + b"DATA\r\nSubject", 5, "content"),
        (ENVELOPE + b"DATA\r\n" + MESSAGE, 6, "helo"),
    ],
)
def test_the_step_is_the_last_command(tmp_path, sent, replies, step):
    async def scenario(running):
        client = await running.connect()
        client.send(sent)
        await client.replies(replies)
        (one,) = (await listed(running)).sessions
        await client.close()
        return one

    found = serve(tmp_path, scenario)
    assert (found.step, found.busy) == (step, False)
    assert found.messages == (1 if replies == 6 else 0)


@pytest.mark.parametrize("hook", ["connect", "helo", "mail", "rcpt", "data", "headers", "message"])
def test_the_plugin_that_a_session_waits_for_is_shown(tmp_path, hook):
    plugin = Waiting(hook)
    plugin.name = "slow"

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n" + MESSAGE)
        await plugin.waits.wait()
        (one,) = (await listed(running, SessionsRequest(plugin="slow"))).sessions
        none = await listed(running, SessionsRequest(plugin="other"))
        plugin.go_on.set()
        assert (await client.codes(6))[-1] == "250"
        (later,) = (await listed(running)).sessions
        await client.close()
        return one, none, later

    one, none, later = serve(tmp_path, scenario, [plugin])
    assert (one.plugin, one.step, one.busy) == ("slow", hook, True)
    assert one.waiting > 0
    assert (none.sessions, none.matched) == ([], 0)
    assert (later.plugin, later.busy) == ("", False)


def test_filters_and_the_limit(tmp_path):
    async def scenario(running):
        clients = [await running.connect() for _ in range(5)]
        for one in clients:
            await one.reply()
        requests = [
            SessionsRequest(limit=2),
            SessionsRequest(client="127.0.0.0/8"),
            SessionsRequest(client="192.0.2.1"),
            SessionsRequest(listener="other"),
            SessionsRequest(older=3600.0),
        ]
        found = [await listed(running, one) for one in requests]
        for one in clients:
            await one.close()
        return [(len(one.sessions), one.matched) for one in found]

    assert serve(tmp_path, scenario) == [(2, 5), (5, 5), (0, 0), (0, 0), (0, 0)]


def test_sessions_are_described_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "PIECE", 2)

    async def scenario(running):
        clients = [await running.connect() for _ in range(5)]
        for one in clients:
            await one.reply()
        lines = await raw(running, b'{"command": "sessions"}\n')
        for one in clients:
            await one.close()
        return lines

    lines = serve(tmp_path, scenario)
    assert [len(one.get("sessions", ())) for one in lines] == [2, 2, 1, 0]
    assert [one.get("more", False) for one in lines] == [True, True, True, False]
    assert lines[-1]["matched"] == 5


def test_a_connection_that_has_ended_meanwhile_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "PIECE", 1)

    async def scenario(running):
        clients = [await running.connect() for _ in range(2)]
        for one in clients:
            await one.reply()
        pieces = live.sessions(running.connections, live.Filter())
        first = await anext(pieces)
        left = [one for one in running.connections.members if one.talk.session.id != first[0].ref]
        running.connections.members.difference_update(left)
        rest = [one async for one in pieces]
        running.connections.members.update(left)
        for one in clients:
            await one.close()
        return rest

    assert serve(tmp_path, scenario) == [[]]


def test_an_idle_session_gets_421_and_is_recorded(tmp_path, loop):
    records = []

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE)
        await client.replies(4)
        (one,) = (await listed(running)).sessions
        ended = await asyncio.to_thread(
            end_sessions, running.data, [one.transaction, "unknown-1"], "alice"
        )
        assert (await client.rest()).rstrip("\r\n") == ENDED
        await client.close()
        await running.until(lambda: not running.connections.members)
        return one, ended

    with capture_logs() as logged:
        one, ended = serve(tmp_path, scenario, loop=loop, records=records.append)
    assert ended.results == {one.transaction: "ended", "unknown-1": "unknown"}
    (event,) = [entry for entry in logged if entry["event"] == "session ended"]
    assert (event["ref"], event["by"]) == (one.transaction, "alice")
    (record,) = [entry for entry in records if isinstance(entry, Connection)]
    assert (record.ref, record.end) == (one.ref, "administrator")


def test_a_session_that_waits_for_a_plugin_is_ended_and_the_plugin_cancelled(tmp_path, loop):
    plugin = Waiting("rcpt")

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE)
        await client.replies(3)
        await plugin.waits.wait()
        (one,) = (await listed(running)).sessions
        ended = await asyncio.to_thread(end_sessions, running.data, [one.ref])
        assert (await client.rest()).rstrip("\r\n") == ENDED
        await client.close()
        await running.until(lambda: not running.connections.members and plugin.cancelled)
        return ended.results == {one.ref: "ended"}

    assert serve(tmp_path, scenario, [plugin], loop=loop)


def test_a_session_is_ended_in_the_delay_of_a_reply(tmp_path):
    made = config(
        tmp_path,
        server=ServerConfig(data_dir=str(tmp_path / "var")),
        limits={"soft_errors": 0, "error_delay": 3600.0},
    )

    async def scenario(running):
        client = await running.connect()
        await client.reply()
        client.send(b"NONSENSE\r\n")
        (connection,) = running.connections.members
        await running.until(lambda: connection.pump.waiting)
        (one,) = (await listed(running)).sessions
        await asyncio.to_thread(end_sessions, running.data, [one.ref])
        assert (await client.rest()).rstrip("\r\n") == ENDED
        await client.close()
        return one.step

    assert serve(tmp_path, scenario, made=made) == "delay"


def test_a_message_that_is_being_delivered_is_not_interrupted(tmp_path):
    plugin = Waiting("deliver")

    async def scenario(running):
        client = await running.connect()
        client.send(ENVELOPE + b"DATA\r\n" + MESSAGE)
        await plugin.waits.wait()
        (connection,) = running.connections.members
        connection.talk.delivering = True
        (one,) = (await listed(running)).sessions
        ended = await asyncio.to_thread(end_sessions, running.data, [one.ref])
        connection.talk.delivering = False
        plugin.go_on.set()
        assert (await client.codes(6))[-1] == "250"
        await client.close()
        return one, ended.results[one.ref]

    one, result = serve(tmp_path, scenario, [plugin])
    assert (one.step, result) == ("deliver", "delivering")


def test_a_session_that_is_being_closed_is_not_ended_again(tmp_path):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        (connection,) = running.connections.members
        found = [live.end(running.connections, connection.talk.session.id) for _ in range(2)]
        (one,) = (await listed(running)).sessions
        assert (await client.rest()).rstrip("\r\n") == ENDED
        await client.close()
        return found, one.step

    assert serve(tmp_path, scenario) == (["ended", "ended"], "closing")


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"nonsense\n",
        b"[" * 50_000 + b"\n",
        b'{"command": "stop"}\n',
        b'{"command": "sessions", "client": "192.0.2.0/99"}\n',
        b'{"command": "sessions", "limit": -1}\n',
        b'{"command": "end", "refs": [1]}\n',
        b'{"command": "status", "more": 1}\n',
        b"x" * (MAX_REQUEST + 10),
    ],
)
def test_a_request_that_cannot_be_read_gets_the_reason(tmp_path, request_):
    async def scenario(running):
        return await raw(running, request_), len((await listed(running)).workers)

    lines, workers = serve(tmp_path, scenario)
    assert [list(one) for one in lines] == [["error"]]
    assert workers == 1


_FIELDS = st.sampled_from(["command", "client", "limit", "older", "refs", "by", "plugin"])
_VALUES = st.none() | st.text() | st.floats() | st.integers() | st.lists(st.text(), max_size=3)


@given(
    st.binary(max_size=200)
    | st.dictionaries(_FIELDS, _VALUES).map(lambda fields: json.dumps(fields).encode())
)
def test_any_octets_are_a_request_or_an_error(octets):
    with contextlib.suppress(RequestError):
        assert isinstance(read_request(octets), Request)


def test_too_many_requests_at_the_same_time_are_closed(tmp_path, loop):
    async def scenario(running):
        (path,) = (running.data / FOLDER).iterdir()
        waiting = [await asyncio.open_unix_connection(str(path)) for _ in range(OPEN)]
        assert await raw(running, b'{"command": "status"}\n') == []
        for _, writer in waiting:
            writer.close()
            await writer.wait_closed()
        await running.until(lambda: True)
        return await raw(running, b'{"command": "status"}\n')

    (line,) = serve(tmp_path, scenario, loop=loop)
    assert line["serving"]["pid"] == os.getpid()


def test_a_client_that_does_not_read_is_dropped(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(control_socket, "SECONDS", 0.0)

    async def scenario(running):
        return await raw(running, b'{"command": "status"}\n')

    assert serve(tmp_path, scenario, loop=loop) == []


def test_another_user_gets_no_answer(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(control_socket, "is_owner", lambda _sock: False)

    async def scenario(running):
        return await raw(running, b'{"command": "status"}\n')

    assert serve(tmp_path, scenario, loop=loop) == []


def test_the_socket_is_private_and_removed_at_the_stop(tmp_path):
    async def scenario(running):
        folder = running.data / FOLDER
        (path,) = folder.iterdir()
        return folder, path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777

    folder, of_file, of_folder = serve(tmp_path, scenario)
    assert (of_file, of_folder) == (0o600, 0o700)
    assert list(folder.iterdir()) == []
    with pytest.raises(NotRunningError, match="not running: no server uses"):
        live_status(folder.parent)


def test_without_control_there_is_no_socket(tmp_path):
    async def scenario(running):
        return (running.data / FOLDER).exists()

    assert serve(tmp_path, scenario, control=False) is False


def test_a_socket_that_cannot_be_opened_is_logged_and_mail_goes_on(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / FOLDER).touch()

    async def scenario(running):
        client = await running.connect()
        greeting = await client.reply()
        await client.close()
        return greeting[:3]

    with capture_logs() as logged:
        assert serve(tmp_path, scenario) == "220"
    assert "control socket not opened" in [one["event"] for one in logged]


def test_the_socket_of_a_process_that_was_killed_is_removed_at_the_next_start(tmp_path):
    folder = tmp_path / "var" / FOLDER
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "1-dead.sock"))

    async def scenario(running):
        return len(list(folder.iterdir())), (await listed(running)).silent

    assert serve(tmp_path, scenario) == (1, [])


def test_a_long_data_folder_works(tmp_path):
    data = tmp_path / ("d" * 120) / "var"
    made = config(tmp_path, server=ServerConfig(data_dir=str(data)))

    async def scenario(running):
        return len((await listed(running)).workers)

    assert serve(tmp_path, scenario, made=made) == 1


def test_a_process_that_does_not_answer_is_named(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as full:
        hung.bind(str(folder / "7-hung.sock"))
        hung.listen(1)
        full.bind(str(folder / "8-full.sock"))
        full.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(folder / "8-full.sock"))
            found = live_sessions(tmp_path, EVERY, timeout=0.05)
        assert (found.silent, found.workers, found.sessions) == ([7, 8], [], [])
        assert end_sessions(tmp_path, ["x"], timeout=0.0).silent == [7, 8]


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b'{"more": true}\n'])
def test_a_process_that_ends_in_its_answer_is_named(tmp_path, answer):
    async def main():
        folder = tmp_path / FOLDER
        folder.mkdir()

        def reply(_reader, writer):
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(reply, str(folder / "7-x.sock")):
            return await asyncio.to_thread(live_status, tmp_path)

    assert asyncio.run(main()).silent == [7]


def test_the_session_behind_a_milter_is_shown_and_its_connection_ended(tmp_path):
    plugin = Waiting("rcpt")
    plugin.name = "slow"

    async def scenario(running):
        mta = await running.mta()
        await mta.mail()
        mta.send(packets.rcpt("<one@example.com>"))
        await running.until(lambda: running.connections.setup.plugins.waits)
        (one,) = running.connections.members
        described = live.describe(running.connections, one)
        result = live.end(running.connections, described.ref)
        closed = await mta.reader.read()
        await mta.close()
        await running.until_closed()
        return described, result, closed[4:]

    described, result, closed = milter.run(scenario, milter.milter_config(tmp_path), plugin)
    assert (described.protocol, described.listener) == ("milter", "mta")
    assert described.client.startswith("192.0.2.1:")
    assert described.via.startswith("127.0.0.1:")
    assert (described.step, described.plugin) == ("rcpt", "slow")
    assert (result, closed) == ("ended", b"")
    assert plugin.cancelled


def test_a_command_of_a_milter_that_waits_for_no_plugin_is_a_step():
    talk = SimpleNamespace(delivering=False)
    for event, step in ((Reported(e.Noop("x"), {}), "noop"), (e.Vrfy("x"), "vrfy")):
        pump = SimpleNamespace(waiting=True, event=event)
        assert live._step(SimpleNamespace(talk=talk, pump=pump), "", None) == step


def test_the_name_of_a_client_is_the_confirmed_one_before_a_reported_one():
    session = SimpleNamespace(
        found=None, reported={"client_name": "reported.example"}, xclient=None
    )
    assert live._name(session) == "reported.example"
    session.found = {"iprev": SimpleNamespace(value="pass", facts={"name": "real.example"})}
    assert live._name(session) == "real.example"
    session.found = {"iprev": SimpleNamespace(value="fail", facts={"name": "forged.example"})}
    assert live._name(session) == "reported.example"


def test_the_described_session_survives_json():
    one = LiveSession("a-1", "192.0.2.1:9", 1.0, 2.0, "helo", 3, 4, "smtp", sender="")
    octets = control_socket._encode(control_socket.Answer(sessions=[one]))
    assert json.loads(octets)["sessions"][0]["sender"] == ""


def test_a_handshake_is_shown_and_ended_without_a_reply(tmp_path):
    made = replace(
        tls_config(tmp_path, "implicit"), server=ServerConfig(data_dir=str(tmp_path / "var"))
    )

    async def scenario(running):
        client = await running.connect()
        await running.until(lambda: running.connections.members)
        (one,) = (await listed(running)).sessions
        ended = await asyncio.to_thread(end_sessions, running.data, [one.ref])
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == ""
        await client.close()
        return one.step, ended.results[one.ref]

    assert serve(tmp_path, scenario, made=made) == ("tls", "ended")
