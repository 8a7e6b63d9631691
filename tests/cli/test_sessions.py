"""`gatepost sessions`, with a server in this process and with a control socket of the test."""

import asyncio
import json
import threading

import msgspec
import pytest

from gatepost.cli.shared import live_server
from gatepost.cli.shared.session_rows import COLUMNS, filled, short
from gatepost.config.load import load_config
from gatepost.server.control_socket import FOLDER, Answer, Serving
from gatepost.server.live import LiveSession
from gatepost.server.server import Server

ONE = LiveSession(
    "a-1",
    "192.0.2.1:25",
    75.0,
    3.2,
    "rcpt",
    2048,
    10,
    "smtp",
    busy=True,
    helo="x\x1b[31m",
    transaction="a-1.1",
    sender="",
    recipients=2,
    plugin="rspamd",
    waiting=12.0,
)
SERVING = Serving(0, 7, "0.1", 1, 0.5)


@pytest.fixture
def answering(folder):
    """A process with a control socket: call it with its answers. `requests` are those it got."""
    data = folder / "var" / FOLDER
    loop, requests = asyncio.new_event_loop(), []
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def serve(answers):
        async def reply(reader, writer):
            requests.append(json.loads(await reader.readline()))
            writer.writelines(msgspec.json.encode(one) + b"\n" for one in answers)
            writer.close()

        await asyncio.start_unix_server(reply, str(data / "7-test.sock"))

    def answer(*answers):
        data.mkdir(parents=True)
        asyncio.run_coroutine_threadsafe(serve(answers), loop).result()
        return requests

    yield answer
    loop.call_soon_threadsafe(loop.stop)


def test_sessions_are_a_table_without_empty_columns(run, answering):
    answering(Answer(more=True, sessions=[ONE]), Answer(serving=SERVING, matched=1))
    result = run("sessions")
    assert result.exit_code == 0
    header, row, last = result.stdout.splitlines()
    assert header.split()[:4] == ["session", "age", "idle", "step"]
    assert "user" not in header
    assert row.split()[:6] == ["a-1", "75s", "3.2s", "rcpt", "rspamd", "12s"]
    assert "\x1b" not in row
    assert "<>" in row
    assert "2.0 KiB" in row
    assert last == "1 session in 1 worker"


def test_json_has_every_fact(run, answering):
    answering(Answer(sessions=[ONE], serving=SERVING, matched=1))
    found = json.loads(run("sessions", "--json").stdout)
    assert found["sessions"][0]["plugin"] == "rspamd"
    assert found["workers"][0]["pid"] == 7


def test_filters_are_sent_to_the_server(run, answering):
    requests = answering(Answer(serving=SERVING))
    options = ["--client", "192.0.2.0/24", "--listener", "in", "--waiting-for", "spf"]
    result = run("sessions", *options, "--older", "30s", "--limit", 5)
    assert result.stdout == "0 sessions in 1 worker\n"
    assert requests == [
        {
            "command": "sessions",
            "client": "192.0.2.0/24",
            "listener": "in",
            "plugin": "spf",
            "older": 30.0,
            "limit": 5,
        }
    ]


def test_sessions_beyond_the_limit_are_counted(run, answering):
    answering(Answer(sessions=[ONE, ONE], serving=SERVING, matched=9))
    last = run("sessions", "--limit", 1).stdout.splitlines()[-1]
    assert last == "9 sessions in 1 worker, 8 of them not shown (--limit)"


def test_a_process_that_does_not_answer_is_an_error(run, answering):
    answering(Answer(more=True, sessions=[ONE]))
    result = run("sessions")
    assert result.exit_code == 1
    assert "process 7 does not answer, its sessions are missing" in result.stderr
    assert "a-1" in result.stdout


@pytest.mark.parametrize("arguments", [("sessions",), ("sessions", "end", "x")])
def test_without_a_server(run, folder, arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr == f"gatepost: not running: no server uses {folder / 'var'}\n"


def test_without_permission(run, folder, monkeypatch):
    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gatepost.process.live.os.listdir", refuse)
    result = run("sessions")
    assert result.exit_code == 1
    assert "Permission denied: only root and the user of the server can do this" in result.stderr


def test_another_error_of_the_system_is_named(folder):
    with pytest.raises(live_server.Failure, match="disk on fire"), live_server.asked(folder):
        raise OSError(5, "disk on fire")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("--client", "x", "--client: expected an IP address"), ("--older", "x", "expected")],
)
def test_a_wrong_option_is_wrong_usage(run, folder, option, value, expected):
    result = run("sessions", option, value)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_request_that_the_server_refuses_is_wrong_usage(run, answering):
    answering(Answer(error="too long"))
    result = run("sessions", "end", "x" * 101)
    assert (result.exit_code, result.stderr) == (2, "gatepost: too long\n")


def test_end_reports_each_reference(run, answering):
    results = {"a-1": "ended", "b-1": "delivering", "c-1": "unknown"}
    requests = answering(Answer(ended=results))
    result = run("sessions", "end", *results)
    assert result.exit_code == 1
    assert result.stdout == "a-1 ended\n"
    assert "b-1: its message is being delivered" in result.stderr
    assert "c-1: no open session has this reference" in result.stderr
    assert requests[0]["refs"] == list(results)
    assert requests[0]["by"]
    found = json.loads(run("sessions", "end", "--json", *results).stdout)
    assert found["results"] == results


def test_the_sessions_of_an_embedded_server(folder, run):
    async def main():
        async with Server(load_config(folder / "gatepost.toml"), control=True) as server:
            address = server.addresses[0][1].rpartition(":")
            _, writer = await asyncio.open_connection(address[0], int(address[2]))
            found = await asyncio.to_thread(run, "sessions", "--json")
            writer.close()
            return json.loads(found.stdout)

    text = (folder / "gatepost.toml").read_text()
    (folder / "gatepost.toml").write_text(text.replace(":2525", ":0"))
    assert asyncio.run(main())["workers"][0]["sessions"] == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0s"), (9.94, "9.9s"), (75, "75s"), (120, "2m"), (7200, "2h"), (172800, "2d")],
)
def test_durations_are_one_number(seconds, text):
    assert short(seconds) == text


def test_every_column_has_a_text_and_a_value():
    for column in COLUMNS:
        assert isinstance(column.text(ONE), str)
        assert column.value(ONE) is not None
    assert filled([]) == []
