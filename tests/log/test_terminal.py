"""Lines for a terminal: short and coloured, and no text of a client acts on the terminal."""

import re
import time

import pytest
from hypothesis import given
from tests.log.test_log import EVENTS, EVERYTHING, an_error

from gatepost.log import terminal

CODE = re.compile("|".join(map(re.escape, terminal._CODES)))


def plain(event, level="info", **fields):
    return terminal.render_plain(None, level, {**fields, "event": event}).decode()


def coloured(event, level="info", **fields):
    return terminal.render_coloured(None, level, {**fields, "event": event}).decode()


@given(EVENTS, EVERYTHING)
def test_nothing_but_the_colours_acts_on_the_terminal(fields, event):
    line = terminal.render_plain(None, "info", {**fields, "event": event}).decode()
    assert line[-1] == "\n"
    assert line[:-1].isprintable()
    shown = terminal.render_coloured(None, "info", {**fields, "event": event}).decode()
    without = CODE.sub("", shown)
    assert without[:-1].isprintable()
    assert without.split() == line.split()


def test_a_line_has_the_time_the_event_and_its_fields(monkeypatch):
    monkeypatch.setattr(terminal.time, "time", lambda: 1_700_000_000.9)
    clock = time.strftime("%H:%M:%S", time.localtime(1_700_000_000))
    assert plain("refused", reason="trap", to=["a@b"], size=0) == (
        f"{clock} refused           reason=trap to=[a@b] size=0\n"
    )


def test_events_without_fields_have_no_blanks_at_the_end():
    assert plain("stopping").endswith(" stopping\n")


def test_empty_values_are_left_out():
    fields = {"a": "", "b": None, "c": [], "d": (), "e": 0, "f": False}
    assert plain("e", **fields).split()[2:] == ["e=0", "f=False"]


@pytest.mark.parametrize(
    ("event", "level", "colour"),
    [
        ("accepted", "info", terminal.GREEN),
        ("refused", "info", terminal.RED),
        ("deferred", "info", terminal.YELLOW),
        ("not delivered", "warning", terminal.YELLOW),
        ("session failed", "error", terminal.BOLD_RED),
        ("started", "info", ""),
    ],
)
def test_the_event_has_the_colour_of_its_result_or_level(event, level, colour):
    line = coloured(event, level, ref="1-1")
    name = event.ljust(terminal.WIDTH)
    assert f"{terminal.RESET} {colour + name + terminal.RESET if colour else name} " in line
    assert line.endswith(f"{terminal.DIM}ref={terminal.RESET}1-1\n")


def test_a_traceback_is_indented():
    first, *lines = plain("failed", exc_info=an_error()).splitlines()
    assert first.endswith(" failed")
    assert lines[-2:] == [r"    ValueError: bad\x1b", "    worse"]


@pytest.mark.parametrize(
    ("environment", "has_colours"),
    [
        ({}, True),
        ({"TERM": "xterm"}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_the_environment_turns_colours_off(environment, has_colours):
    found = terminal.terminal_renderer(environment)
    assert found is (terminal.render_coloured if has_colours else terminal.render_plain)
