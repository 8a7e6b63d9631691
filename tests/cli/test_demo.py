"""tools/demo.py, which `make run` runs."""

import importlib.util
import re
import shutil
import signal
import smtplib
import socket
import subprocess
from pathlib import Path

import pytest
from tests.cli.processes import Process

from gatepost.cli.shared.starter import create, starter

DEMO = Path(__file__).parents[2] / "tools" / "demo.py"


@pytest.fixture
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folder_at(tmp_path, address):
    """Create the demo's folder, with another address."""
    texts = starter("demo.example")
    texts["gatepost.toml"] = texts["gatepost.toml"].replace("127.0.0.1:2525", address)
    texts["gatepost.toml"] = texts["gatepost.toml"].replace("127.0.0.1:8025", "127.0.0.1:0")
    create(tmp_path / "demo", texts)


def commands(text):
    """Return the shell commands in the instructions: indented lines, joined."""
    blocks = [block for block in text.split("\n\n") if block.startswith("  ")]
    assert len(blocks) == 3
    return blocks


@pytest.mark.parametrize("tool", ["curl", "python3"])
def test_the_printed_commands_work(demo, tmp_path, monkeypatch, tool):
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    folder_at(tmp_path, "127.0.0.1:0")
    found = shutil.which
    monkeypatch.setattr(demo.shutil, "which", lambda name: found(tool) if name == tool else None)
    with Process(DEMO, cwd=tmp_path) as process:
        host, port = process.address()
        good, show, bad = commands(demo.instructions(f"{host}:{port}"))
        assert tool in good
        accepted = subprocess.run(good, shell=True, capture_output=True, text=True, check=False)
        assert (accepted.returncode, accepted.stderr) == (0, "")
        assert len(list(tmp_path.glob("demo/var/mail/demo.example/alice/new/*"))) == 1
        shown = subprocess.run(
            show, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert "\nSubject: hello\n\nIt works.\n" in shown.stdout
        refused = subprocess.run(bad, shell=True, capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        assert "554" in refused.stderr
        assert len(list(tmp_path.glob("demo/var/mail/*/*/new/*"))) == 1


def test_an_existing_folder_is_kept_and_an_interrupt_ends_the_demo(tmp_path):
    folder_at(tmp_path, "127.0.0.1:0")
    (tmp_path / "demo" / "users").write_text("carol@demo.example\n")
    with Process(DEMO, cwd=tmp_path) as process:
        with smtplib.SMTP(*process.address()) as client:
            client.sendmail("me@client.example", ["carol@demo.example"], "Subject: hello")
        status, errors = process.stop(signal.SIGINT)
    assert status == 0
    assert "Traceback" not in errors
    assert len(list(tmp_path.glob("demo/var/mail/demo.example/carol/new/*"))) == 1


def test_a_second_interrupt_ends_the_demo_at_once(tmp_path):
    folder_at(tmp_path, "127.0.0.1:0")
    with Process(DEMO, cwd=tmp_path) as process, smtplib.SMTP(*process.address()) as client:
        client.ehlo("client.example")
        client.mail("me@client.example")
        process.popen.send_signal(signal.SIGINT)
        while "stopping" not in process.line():
            pass
        status, errors = process.stop(signal.SIGINT)
        client.close()
    assert (status, errors) == (130, "")


def test_a_port_in_use_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        folder_at(tmp_path, address)
        with Process(DEMO, cwd=tmp_path) as process:
            status, errors = process.end()
    assert status == 1
    assert errors.splitlines() == [
        f"gatepost: cannot listen on {address}: Address already in use",
        "gatepost: stop the other server, or change [[listen]] in demo/gatepost.toml",
    ]


def test_instructions_are_not_printed_if_the_port_is_in_use(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "configure_log", lambda log: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        folder_at(tmp_path, f"127.0.0.1:{other.getsockname()[1]}")
        assert demo.main() == 1
    assert capsys.readouterr().out == ""


def test_an_error_in_the_configuration_is_reported(tmp_path):
    folder_at(tmp_path, "127.0.0.1:0")
    with (tmp_path / "demo" / "gatepost.toml").open("a") as file:
        file.write("[unknown]\n")
    with Process(DEMO, cwd=tmp_path) as process:
        status, errors = process.end()
    assert status == 1
    assert errors.endswith(
        "gatepost: change demo/gatepost.toml, or start over without its mail: rm -r demo\n"
    )


def test_make_help_lists_the_targets():
    root = DEMO.parents[1]
    done = subprocess.run(
        ["make", "-s", "help"], cwd=root, capture_output=True, text=True, check=True
    )
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(targets.split())


def test_the_folder_is_that_of_init_with_another_domain(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run", lambda config, file: None)
    monkeypatch.setattr(demo, "configure_log", lambda log: None)
    monkeypatch.setattr(demo, "probe", lambda address: None)  # another server may use the port
    assert demo.main() == 0
    for name, text in starter("demo.example").items():
        assert (tmp_path / "demo" / name).read_text() == text
