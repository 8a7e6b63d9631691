"""`explain`, `log` and `report` on a terminal of 80 columns."""

import os
import pty
import re
import subprocess
import sys
import termios

import pytest
from rich.cells import cell_len

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = [
    ["log"],
    ["log", "--all"],
    ["explain", "ebebdad2-1.1"],
    ["explain", "203.0.113.9"],
    ["report", "--since", "2026-11-29"],
]


def on_terminal(*arguments, columns=80, **environment):
    """Return what a command prints on a pseudo-terminal."""
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    unset = ("NO_COLOR", "COLUMNS", "LINES")
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-m", "gatepost", *arguments]
    with subprocess.Popen(
        command, stdout=terminal, env=inherited | {"TERM": "xterm"} | environment
    ) as process:
        os.close(terminal)
        text = b"".join(iter(lambda: _read(main), b""))
        os.close(main)
        assert process.wait() == 0
    return text.decode().replace("\r\n", "\n")


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_line_is_longer_than_the_terminal(ledger, command):
    text = on_terminal(*command)
    assert COLOUR.search(text)
    for line in COLOUR.sub("", text).splitlines():
        assert line.isprintable()
        assert cell_len(line) <= 80


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_colours_can_be_switched_off(ledger, command):
    coloured = COLOUR.sub("", on_terminal(*command))
    assert on_terminal(*command, NO_COLOR="1") == coloured
    assert on_terminal(*command, "--no-color") == coloured
    assert on_terminal(*command, TERM="dumb") == coloured


def test_a_wide_terminal_shows_the_reply(ledger):
    assert "554 5.7.1 Message ref" in on_terminal("log", "--refused", columns=160)


def test_the_page_of_a_plugin_is_formatted_on_a_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = on_terminal("plugins", "show", "clamav")
    assert COLOUR.search(text)
    plain = COLOUR.sub("", text)
    assert "<!--" not in plain
    assert "](" not in plain
    assert "# " not in plain
    assert "…" not in plain
    assert all(cell_len(line) <= 80 for line in plain.splitlines())
