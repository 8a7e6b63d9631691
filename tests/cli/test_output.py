"""Tables, and signs of life."""

import sys

from gatepost.checks import scratch
from gatepost.cli.shared import output

ROWS = [["rcpt", "550 no [ref-1]"], ["a\x1b[2J", ""]]


def test_a_plain_table(capsys):
    output.print_table(("hook", "reply"), ROWS)
    assert capsys.readouterr().out == ("hook      reply\nrcpt      550 no [ref-1]\na\\x1b[2J\n")


def test_a_table_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    output.print_table(("hook", "reply"), ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["hook", "reply"],
        ["rcpt", "550", "no", "[ref-1]"],
        ["a\\x1b[2J"],
    ]


def test_a_dot_for_each_beat(capsys):
    class Done:
        def __init__(self):
            self.waits = [False, False, True]

        def wait(self, seconds):
            return self.waits.pop(0)

    scratch._beat(Done())
    assert capsys.readouterr().err == ".."
