"""Programs that read a message and decide: real ones, written by the tests."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.plugins.scanners import HELLO, Seen, installed, large, mail, sent, twenty_clients

from gatepost.plugins import _program
from gatepost.plugins._scanner import ScannerError
from gatepost.plugins.command import Answer, Command, parse_answer
from gatepost.testing import MemoryServer, VirtualClock, perform

CONTENT = "Subject: x\n\ntext"
DEFERRED = "451 4.3.0 Temporary local problem*"


def script(tmp_path, text):
    """Return the command of a shell script."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


def run(command, reply="250", content=CONTENT, *, installation=None, envelope=None, **options):
    """Send a message; return its result, and what was played."""
    seen = Seen()
    plugin = installed(Command(command=command, **options), **installation or {})
    played = asyncio.run(sent([plugin, seen], content, reply, **envelope or {}))
    return seen.results[0], played


@pytest.mark.parametrize(
    ("status", "options", "reply", "value"),
    [
        (0, {}, "250", "passed"),
        (77, {}, "554 5.7.1 Message refused by local policy*", "denied"),
        (75, {}, "451 4.7.1 Message refused by local policy*", "deferred"),
        (1, {}, DEFERRED, "temperror"),
        (1, {"statuses": {"1": "deny"}, "text": "a virus"}, "554 5.7.1 a virus*", "denied"),
        (77, {"statuses": {"1": "deny"}}, "554", "denied"),
        (77, {"statuses": {"77": "defer"}}, "451 4.7.1 Message refused by*", "deferred"),
        (3, {"statuses": {"3": "none"}}, "250", "passed"),
        (75, {"installation": {"shadow": True}}, "250", "deferred"),
        (1, {"installation": {"on_error": "skip"}}, "250", "temperror"),
    ],
)
def test_the_exit_status_decides(tmp_path, status, options, reply, value):
    found, _ = run(script(tmp_path, f"cat > /dev/null; exit {status}"), reply, **options)
    assert found.value == value


def test_a_status_can_give_points(tmp_path):
    found, _ = run(script(tmp_path, "exit 5"), statuses={"5": 2.5})
    assert (found.value, found.score) == ("passed", 2.5)


@pytest.mark.parametrize(
    ("answer", "reply", "value"),
    [
        ({}, "250", "passed"),
        ({"verdict": "deny", "text": "not wanted"}, "554 5.7.1 not wanted*", "denied"),
        ({"verdict": "defer"}, "451 4.7.1 Message refused by local policy*", "deferred"),
        ({"verdict": "pass", "score": 3}, "250", "passed"),
        ({"verdict": "perhaps"}, DEFERRED, "temperror"),
        ({"score": "many"}, DEFERRED, "temperror"),
    ],
)
def test_a_line_of_json_decides(tmp_path, answer, reply, value):
    command = script(tmp_path, f"cat > /dev/null; echo '{json.dumps(answer)}'; echo more")
    found, _ = run(command, reply, answer="json")
    assert found.value == value
    assert found.score == (3 if "score" in answer and value == "passed" else 0)


def test_json_of_a_program_that_fails_does_not_count(tmp_path):
    run(script(tmp_path, "echo '{}'; exit 1"), DEFERRED, answer="json")


def test_a_message_can_be_held_and_get_fields(tmp_path):
    answer = {"verdict": "hold", "add_headers": {"X-One": "1", "X-Two": "a\n b", "B d": ""}}
    _, played = run(script(tmp_path, f"printf '%s' '{json.dumps(answer)}'"), answer="json")
    [message] = played.messages
    assert message.quarantined == "command"
    fields = [one for one in message.parse().items() if one[0] != "Received"]
    assert fields == [("X-One", "1"), ("X-Two", "a b"), ("Subject", "x")]


def test_the_program_gets_the_message_and_the_envelope(tmp_path):
    out = tmp_path / "out"
    command = script(tmp_path, f"env > {out}.env; cat > {out}")
    run(command, envelope={"sender": '"a b"@client.example'}, content="Subject: x\n\n..a")
    assert out.read_bytes() == b"Subject: x\r\n\r\n.a\r\n"
    names = dict(line.split("=", 1) for line in (tmp_path / "out.env").read_text().splitlines())
    assert names.pop("MESSAGE_REF")
    for name in ("PWD", "SHLVL", "_", "OLDPWD"):  # the shell sets them
        names.pop(name, None)
    assert names == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SENDER": '"a b"@client.example',
        "CLIENT_ADDRESS": "192.0.2.1",
        "CLIENT_HELO": "client.example",
        "RECIPIENT": "user@example.com",
    }


def test_arguments_are_not_read_by_a_shell(tmp_path):
    command = [*script(tmp_path, f'printf "%s|" "$@" > {tmp_path}/args'), "a b", "$HOME", "; ls"]
    run(command)
    assert (tmp_path / "args").read_text() == "a b|$HOME|; ls|"


def test_a_program_may_leave_the_message_unread(tmp_path):
    found, _ = run(script(tmp_path, "exit 0"), content=large(400_000))
    assert found.value == "passed"


def test_a_large_message_is_read_whole(tmp_path):
    content = large(3_000_000)
    octets = len(content.replace("\n", "\r\n"))
    command = script(tmp_path, f'test "$(wc -c)" = {octets}')
    found, _ = run(command, content=content)
    assert found.value == "passed"


@pytest.mark.parametrize(
    "text",
    [
        "sleep 60",
        "exec 0<&-; sleep 60",
        "cat > /dev/null; yes",
        "kill -9 $$",
        "echo broken >&2; exit 1",
        "yes broken | head -c 1000000 >&2; exit 1",
    ],
)
@pytest.mark.parametrize("answer", ["status", "json"])
def test_a_program_that_does_not_answer_defers_mail(tmp_path, text, answer):
    found, played = run(script(tmp_path, text), DEFERRED, timeout="300ms", answer=answer)
    assert (found.value, played.messages) == ("temperror", [])


@pytest.mark.parametrize("command", [["/nonexistent/program"], ["./absent"], [os.sep]])
def test_a_program_that_cannot_be_started_defers_mail(command):
    found, _ = run(command, DEFERRED)
    assert found.value == "temperror"


def test_the_error_output_is_in_the_log(tmp_path):
    with capture_logs() as logs:
        run(script(tmp_path, "printf 'no \\033 database\\nx' >&2; exit 2"), DEFERRED)
    [line] = [one for one in logs if one["event"] == "scan failed"]
    assert line["problem"] == "the program ended with the status 2: no  database"


@asynccontextmanager
async def output_of(pipe):
    """Read what is written to a pipe, up to the end of those who write."""
    reader = asyncio.StreamReader()
    file = os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb")
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    try:
        yield reader
    finally:
        transport.close()


def test_a_program_that_is_late_is_killed_with_its_child_processes(tmp_path):
    """The child process writes to a pipe as long as it lives."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = script(tmp_path, f"(echo begun; sleep 60) > {pipe} & wait")

    async def scenario():
        async with output_of(pipe) as reader:
            await sent([Command(command=command, timeout="2s")], CONTENT, DEFERRED)
            assert await reader.read() == b"begun\n"

    asyncio.run(scenario())


def test_twenty_clients_run_a_few_programs_at_a_time(tmp_path):
    """Each program fails if a third one runs."""
    counter = (
        "import os, sys; "
        f"slots = [os.path.join({str(tmp_path)!r}, n) for n in 'ab']\n"
        "for slot in slots:\n"
        "    try: os.mkdir(slot)\n"
        "    except FileExistsError: continue\n"
        "    sys.stdin.buffer.read(); os.rmdir(slot); sys.exit(0)\n"
        "sys.exit(9)"
    )
    plugin = Command(command=[sys.executable, "-S", "-c", counter], most=2)
    assert len(asyncio.run(twenty_clients([plugin], CONTENT))) == 20


def test_a_client_that_leaves_ends_the_program(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = script(tmp_path, f"exec > {pipe}; echo begun; cat > /dev/null; sleep 60")

    async def scenario():
        clock = VirtualClock("2024-01-01")
        async with (
            output_of(pipe) as reader,
            MemoryServer([Command(command=command)], clock=clock) as server,
        ):
            client = server.connect(("198.51.100.7", 50000))
            work = asyncio.create_task(perform(client, HELLO + mail(CONTENT)))
            assert await reader.readline() == b"begun\n"
            work.cancel()
            await asyncio.wait({work})
            await client.close()
            assert await reader.read() == b""
            return server.messages

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"command": []}, "command: expected"),
        ({"command": ["program"]}, "command: expected"),
        ({"command": ["/bin/true", "a\0b"]}, "command: expected"),
        ({"command": ["/bin/true"], "statuses": {"0": "deny"}}, "statuses: expected"),
        ({"command": ["/bin/true"], "statuses": {"256": "deny"}}, "statuses: expected"),
    ],
)
def test_wrong_options_are_errors_at_start(options, problem):
    with pytest.raises(ValueError, match=problem):
        Command(**options)


def test_the_path_of_a_program_starts_at_the_folder_of_the_configuration(tmp_path, monkeypatch):
    script(tmp_path, "exit 0")
    monkeypatch.chdir(tmp_path)
    found, _ = run(["./program"])
    assert found.value == "passed"


def test_an_output_of_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(_program, "MOST", 100)
    run(script(tmp_path, "printf '%0100d' 0"))
    run(script(tmp_path, "printf '%0101d' 0"), DEFERRED)


@given(st.binary() | st.binary().map(lambda one: b"{" + one + b"}"))
def test_any_output_is_read_or_refused(octets):
    try:
        answer = parse_answer(octets)
    except ScannerError:
        return
    assert isinstance(answer, Answer)


ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "verdict": st.sampled_from(["pass", "deny", "defer", "hold"]) | st.text(),
        "text": st.text() | st.integers(),
        "score": st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        "add_headers": st.dictionaries(st.text(), st.text()) | st.lists(st.text()),
        "more": st.text(),
    },
)


@given(ANSWERS)
def test_an_answer_of_the_described_form_is_read(values):
    try:
        answer = parse_answer(json.dumps(values).encode())
    except ScannerError:
        assert values
        return
    assert answer.text == values.get("text", "")
    assert answer.score == values.get("score", 0)


def test_too_many_fields_are_refused():
    fields = {f"X-{number}": "" for number in range(51)}
    with pytest.raises(ScannerError, match="at most 50 fields"):
        parse_answer(json.dumps({"add_headers": fields}).encode())


def test_json_that_is_nested_deeply_is_refused():
    with pytest.raises(ScannerError):
        parse_answer(b'{"more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
