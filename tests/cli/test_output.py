"""Tables and progress."""

import sys

from gatepost.checks import scratch
from gatepost.cli.shared import output

ROWS = [["rcpt", "550 no [ref-1]"], ["a\x1b[2J", ""]]


def test_a_table_is_plain_without_a_terminal(capsys):
    output.print_table(("hook", "reply"), ROWS)
    assert capsys.readouterr().out == ("hook      reply\nrcpt      550 no [ref-1]\na\\x1b[2J\n")


def test_a_table_on_a_terminal_is_escaped(capsys, monkeypatch):
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


CONTENT = [b"Subject: a\x1b]0;", b"title\x07\r", b"\n\r\n\xff \xc3\xbc\xe2\x80\xae\r\nend"]


def test_content_on_a_terminal_is_escaped(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_content(CONTENT)
    assert capsys.readouterr().out == ("Subject: a\\x1b]0;title\\x07\n\n\\xff \u00fc\\u202e\nend\n")


def test_content_is_unchanged_without_a_terminal(capfdbinary):
    output.print_content(CONTENT)
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == b"".join(CONTENT)


def test_progress_writes_a_dot_for_each_interval(capsys):
    class Done:
        def __init__(self):
            self.waits = [False, False, True]

        def wait(self, seconds):
            return self.waits.pop(0)

    scratch._write_dots(Done())
    assert capsys.readouterr().err == ".."
