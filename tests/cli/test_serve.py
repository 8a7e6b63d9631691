"""`gatepost serve`, as a process."""

import json
import os
import signal
import smtplib
import socket
from pathlib import Path

import pytest
from tests.cli.processes import READY, serve
from tests.process.supervised import eventually

import gatepost

SOURCE = Path(gatepost.__file__).parents[1]

MESSAGE = "Subject: hello\r\n\r\nIt works.\r\n"


@pytest.fixture
def free_port(folder):
    """The starter folder, served on any free port, with a log in text."""
    rewrite(folder, 'format = "auto"', 'format = "text"')
    return rewrite(folder, '"127.0.0.1:2525"', '"127.0.0.1:0"')


def rewrite(folder, old, new):
    text = (folder / "gatepost.toml").read_text()
    assert old in text
    (folder / "gatepost.toml").write_text(text.replace(old, new))
    return folder


def configure_plugin(folder, *lines):
    (folder / "mine.py").write_text("\n".join(["from gatepost import Plugin", *lines]))
    with (folder / "gatepost.toml").open("a") as file:
        file.write('\n[[plugin]]\nuse = "mine.py"\n')


def delivered(folder):
    return [path.read_text() for path in folder.glob("var/mail/*/*/new/*")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_accepts_mail_until_a_signal(free_port, number):
    with serve(free_port) as process:
        with smtplib.SMTP(*process.address(), local_hostname="client.example") as client:
            client.sendmail("me@client.example", ["alice@example.com"], MESSAGE)
        status, _ = process.stop(number)
    assert status == 0
    (content,) = delivered(free_port)
    assert content.replace("\n", "\r\n").endswith(MESSAGE) or content.endswith(MESSAGE)


def test_a_trap_refuses_the_message(free_port):
    rewrite(free_port, 'delay = "1s"', 'delay = "0s"')
    with serve(free_port) as process:
        with smtplib.SMTP(*process.address(), local_hostname="client.example") as client:
            recipients = ["alice@example.com", "trap@example.com"]
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("me@client.example", recipients, MESSAGE)
        process.stop(signal.SIGTERM)
    assert refused.value.smtp_code == 554
    assert delivered(free_port) == []


def test_the_ready_line_has_every_listener(free_port):
    with (free_port / "gatepost.toml").open("a") as file:
        file.write('\n[[listen]]\naddress = "unix:socket"\n')
    with serve(free_port) as process:
        ready = process.line()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(free_port / "socket"))
            assert client.recv(100).startswith(b"220 ")
        process.stop(signal.SIGTERM)
    first, _, second = ready.rstrip("\n").rpartition(" ")
    assert READY.fullmatch(f"{first}\n")
    assert second == f"smtp=unix:{free_port}/socket"


def test_a_message_in_progress_is_finished(free_port):
    with serve(free_port) as process:
        with smtplib.SMTP(*process.address(), local_hostname="client.example") as client:
            client.ehlo()
            client.mail("me@client.example")
            client.rcpt("alice@example.com")
            process.popen.send_signal(signal.SIGTERM)
            while "stopping" not in process.line():
                pass
            assert client.data(MESSAGE)[0] == 250
            assert client.getreply()[0] == 421
            client.close()
        status, _ = process.end()
    assert status == 0
    assert len(delivered(free_port)) == 1


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_a_second_signal_ends_serve_at_once(free_port, number, expected):
    with serve(free_port) as process, smtplib.SMTP(*process.address()) as client:
        client.ehlo("client.example")
        client.mail("me@client.example")
        process.popen.send_signal(number)
        while "stopping" not in process.line():
            pass
        status, errors = process.stop(number)
        client.close()
    assert status == expected
    assert errors.strip() == ""


def hello(address):
    with smtplib.SMTP(*address) as client:
        return client.ehlo()[1]


def test_a_hangup_applies_a_new_configuration(free_port):
    with serve(free_port) as process:
        address = process.address()
        rewrite(free_port, 'hostname = "localhost"', 'hostname = "new.example.com"')
        process.popen.send_signal(signal.SIGHUP)
        assert "started listen=" in process.line()
        assert "reloaded listen=" in process.line()
        # old workers can accept connections until the RETIRE message arrives
        eventually(lambda: hello(address).startswith(b"new.example.com"))
        status, _ = process.stop(signal.SIGTERM)
    assert status == 0


def test_an_empty_configuration_keeps_the_server_running(free_port):
    with serve(free_port) as process:
        address = process.address()
        (free_port / "gatepost.toml").write_text("")
        process.popen.send_signal(signal.SIGHUP)
        assert "started listen=" in process.line()
        problems = [process.line() for _ in range(2)]
        with smtplib.SMTP(*address, local_hostname="client.example") as client:
            client.sendmail("me@client.example", ["alice@example.com"], MESSAGE)
        process.stop(signal.SIGTERM)
    assert all("reload failed problem=" in problem for problem in problems), problems
    assert len(delivered(free_port)) == 1


def test_events_are_logged_as_json(free_port):
    rewrite(free_port, 'format = "text"', 'format = "json"')
    with serve(free_port) as process:
        address = process.address()
        started = json.loads(process.line())
        with smtplib.SMTP(*address, local_hostname="client.example") as client:
            client.sendmail("me@client.example", ["alice@example.com"], MESSAGE)
        _, rest = process.stop(signal.SIGTERM)
    lines = [json.loads(line) for line in rest.splitlines()]
    first, last = (one for one in lines if one["event"] != "running as root")
    assert started["event"] == "started"
    assert (first["event"], first["logger"], first["level"]) == (
        "accepted",
        "gatepost.session",
        "info",
    )
    assert first["recipients"] == ["alice@example.com"]
    assert last["event"] == "stopping"


def test_serve_works_without_uvloop(free_port, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['uvloop'] = None\n")
    path = os.pathsep.join([str(tmp_path), str(SOURCE)])
    with serve(free_port, env={**os.environ, "PYTHONPATH": path}) as process:
        with smtplib.SMTP(*process.address(), local_hostname="client.example") as client:
            client.sendmail("me@client.example", ["alice@example.com"], MESSAGE)
        status, _ = process.stop(signal.SIGTERM)
    assert status == 0
    assert len(delivered(free_port)) == 1


def test_a_signal_ends_the_start(free_port):
    configure_plugin(
        free_port,
        "from asyncio import Event",
        "class Mine(Plugin):",
        "    async def start(self):",
        "        self.log.warning('waiting')",
        "        await Event().wait()",
    )
    with serve(free_port) as process:
        assert "waiting" in process.line()
        assert process.stop(signal.SIGTERM) == (0, "")


def test_events_below_the_level_are_not_logged(free_port):
    rewrite(free_port, 'level = "info"', 'level = "error"')
    with serve(free_port) as process:
        with smtplib.SMTP(*process.address(), local_hostname="client.example") as client:
            client.sendmail("me@client.example", ["alice@example.com"], MESSAGE)
        assert process.stop(signal.SIGTERM) == (0, "")


def failed(folder):
    with serve(folder) as process:
        status, errors = process.end()
    assert status == 1
    return errors


def test_an_address_in_use_is_an_error(free_port):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        rewrite(free_port, "127.0.0.1:0", address)
        errors = failed(free_port)
    assert errors == f"gatepost: cannot listen on {address}: Address already in use\n"


def test_all_missing_lists_are_reported(free_port):
    (free_port / "verybadrcptto").unlink()
    (free_port / "users").unlink()
    why = "cannot be read: No such file or directory"
    assert failed(free_port).splitlines() == [
        f"gatepost: {free_port}/users: {why}",
        f"gatepost: {free_port}/verybadrcptto: {why}",
    ]


def test_a_missing_plugin_is_an_error(free_port):
    with (free_port / "gatepost.toml").open("a") as file:
        file.write('\n[[plugin]]\nuse = "gone.py"\n')
    assert failed(free_port) == f"gatepost: plugin {free_port}/gone.py: no such file\n"


def test_a_plugin_that_cannot_start_is_an_error(free_port):
    configure_plugin(
        free_port,
        "class Mine(Plugin):",
        "    async def start(self):",
        "        raise OSError('no database')",
    )
    said = failed(free_port)
    place = f"{free_port}/mine.py:4"
    assert said == f"gatepost: plugin mine: start() failed: {place}: OSError: no database\n"


def test_a_data_folder_that_cannot_be_created_is_an_error(free_port):
    (free_port / "var").write_text("")
    *_, last = failed(free_port).splitlines()
    assert last == f"gatepost: {free_port}/var: Expected a folder"
