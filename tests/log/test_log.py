"""Log lines: one event is one line, and no character in it acts on a terminal."""

import json
import logging
import os
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.schema import LogConfig
from gatepost.log import render, setup
from gatepost.log.logger import get_logger
from gatepost.log.printable import printable
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.model.secret import Secret
from gatepost.model.session import Recipient, Session, Transaction

HOSTILE = "a\r\nb\x00\x1b[2J\x7f\x9b\u2028\u202e\ud800\U000e0001"
EVERYTHING = st.text(
    st.characters(codec=None, exclude_categories=()) | st.sampled_from(list(HOSTILE)), max_size=30
)
VALUES = EVERYTHING | st.integers() | st.none() | st.floats() | st.lists(EVERYTHING, max_size=3)
EVENTS = st.dictionaries(
    EVERYTHING.filter(lambda key: key not in {"exc_info", "exception", "event"}), VALUES
)


@pytest.fixture
def written(monkeypatch):
    lines = []
    monkeypatch.setattr(os, "write", lambda _descriptor, line: lines.append(line))
    return lines


def text_of(**fields):
    """Return a line of the text format without its time."""
    line = render.render_text(setup.LineWriter("gatepost.x"), "info", fields).decode()
    return line.partition(" ")[2]


@given(EVENTS, EVERYTHING)
def test_an_event_is_one_line_of_text(fields, event):
    line = render.render_text(setup.LineWriter("x"), "info", {"event": event, **fields}).decode()
    assert line.endswith("\n")
    assert line[:-1].isprintable()


ADDRESS = Address.parse("short@x.example")
SESSION = Session("1-1", Endpoint("192.0.2.1", 25), Endpoint("::1", 25), 0.0)
TRANSACTION = Transaction("1-1.1", SESSION, ADDRESS, {}, 0.0)
PLUGIN_VALUES = [
    (ADDRESS, "short@x.example"),
    (Endpoint("::1", 25), "[::1]:25"),
    (Recipient(ADDRESS, {}), "short@x.example"),
    (SESSION, "1-1"),
    (TRANSACTION, "1-1.1"),
    (Secret("word"), "<secret>"),
    (Reply(250, "Ok", "2.0.0"), "250 2.0.0 Ok"),
    (RecipientReplies([Reply(250, "Ok")]), "250 Ok"),
]


def test_a_warning_of_python_is_an_event(written):
    setup.configure_log(LogConfig(format="json"))

    async def unawaited():
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = setup._log_warning
        unawaited()
        warnings.warn("a\nb", UserWarning, stacklevel=1)
    first, second = map(json.loads, written)
    assert first["event"] == second["event"] == "python warning"
    assert first["level"] == "warning"
    assert first["category"] == "RuntimeWarning"
    assert first["problem"].endswith("unawaited' was never awaited")
    assert first["file"].startswith(f"{__file__}:")
    assert (second["category"], second["problem"]) == ("UserWarning", "a\nb")


@pytest.mark.parametrize(("value", "text"), PLUGIN_VALUES, ids=lambda one: type(one).__name__)
def test_values_of_plugins_are_text(value, text):
    line = render.render_json(setup.LineWriter("x"), "info", {"event": "e", "a": value})
    assert json.loads(line)["a"] == text
    shown = f'"{text}"' if "[" in text or " " in text else text
    assert text_of(event="e", a=value) == f"info    gatepost.x e a={shown}\n"
    pair = render.render_json(setup.LineWriter("x"), "info", {"event": "e", "a": (value, [value])})
    assert json.loads(pair)["a"] == [text, [text]]
    assert text_of(event="e", a=(value,)) == f"info    gatepost.x e a=[{shown}]\n"


def test_a_list_that_contains_itself_is_one_line():
    ring = []
    ring.append(ring)
    line = render.render_json(setup.LineWriter("x"), "info", {"event": "e", "a": ring})
    assert json.loads(line)["a"] == "[[...]]"


@given(EVENTS, EVERYTHING)
def test_an_event_is_one_line_of_json(fields, event):
    line = render.render_json(setup.LineWriter("x"), "info", {"event": event, **fields})
    assert line.endswith(b"\n")
    assert line[:-1].decode().isprintable() or b"\x7f" in line
    assert isinstance(json.loads(line), dict)


@given(EVERYTHING)
def test_printable_escapes_only_unprintable_text(text):
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) is text.isprintable()


def test_text_format():
    assert text_of(event="refused", hook="rcpt", empty="", number=3, to=["a@b", "c@d"]) == (
        "info    gatepost.x refused hook=rcpt number=3 to=[a@b,c@d]\n"
    )


def test_ambiguous_values_are_quoted():
    assert text_of(event="e", a="x y", b='"', c="k=v", d="\\", e=["a,b", "c"]) == (
        'info    gatepost.x e a="x y" b="\\"" c="k=v" d="\\\\" e=["a,b",c]\n'
    )


def test_control_characters_are_escaped():
    assert text_of(event="e", helo="a\x1b[2J\r\nb\u202e") == (
        'info    gatepost.x e helo="a\\x1b[2J\\r\\nb\\u202e"\n'
    )


def test_json_format():
    fields = {"event": "refused", "helo": "a\u202eb\r\n", "to": ["x"]}
    line = render.render_json(setup.LineWriter("gatepost.x"), "info", fields)
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {"level": "info", "logger": "gatepost.x", **fields}
    assert line.isascii()


def test_json_has_no_blanks_and_the_event_comes_last():
    """The filter of fail2ban depends on it."""
    fields = {"hook": "rcpt", "to": ["x"], "n": 1, "event": "refused"}
    line = render.render_json(setup.LineWriter("gatepost.x"), "info", fields).decode()
    end = ',"level":"info","logger":"gatepost.x","hook":"rcpt","to":["x"],"n":1,"event":"refused"}'
    assert line.startswith('{"time":"')
    assert line.partition('Z"')[2] == f"{end}\n"


def test_printable_text_is_unchanged_in_json():
    line = render.render_json(setup.LineWriter("x"), "info", {"event": "e", "to": "jürgen@例え.jp"})
    assert "jürgen@例え.jp".encode() in line


class Broken:
    def __repr__(self):
        raise RuntimeError


def test_an_object_with_a_broken_repr_is_logged_by_type():
    assert "thing=<Broken>" in text_of(event="e", thing=Broken())
    line = render.render_json(setup.LineWriter("x"), "info", {"event": "e", "thing": Broken()})
    assert json.loads(line)["thing"] == "<Broken>"


def an_error():
    with pytest.raises(ValueError, match="bad") as caught:
        raise ValueError("bad\x1b\nworse")
    return caught.value


@pytest.mark.parametrize("as_given", [lambda e: e, lambda e: (type(e), e, e.__traceback__)])
def test_a_traceback_is_indented(as_given):
    lines = text_of(event="e", exc_info=as_given(an_error())).splitlines()
    assert lines[0] == "info    gatepost.x e"
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-2:] == [r"    ValueError: bad\x1b", "    worse"]
    assert all(line.startswith("    ") for line in lines[1:])


def test_a_json_traceback_is_one_line():
    line = render.render_json(
        setup.LineWriter("x"), "error", {"event": "e", "exc_info": an_error()}
    )
    assert json.loads(line)["exception"].endswith("ValueError: bad\x1b\nworse")
    assert line.count(b"\n") == 1


def test_exception_logs_the_current_error(written):
    setup.configure_command_log()
    try:
        raise an_error()
    except ValueError:
        get_logger("x").exception("failed")
    assert b"ValueError: bad" in written[0]


def test_each_event_at_or_above_the_level_is_one_write(written):
    setup.configure_log(LogConfig(level="warning", format="text"))
    log = get_logger("x")
    log.debug("one")
    log.info("two")
    log.warning("three")
    log.bind(plugin="p").error("four")
    assert [line.decode().split()[1:] for line in written] == [
        ["warning", "x", "three"],
        ["error", "x", "four", "plugin=p"],
    ]


def test_library_records_are_rendered_as_events(written):
    setup.configure_log(LogConfig(level="warning", format="json"))
    logging.getLogger("asyncio").warning("slow\r\n%s", "callback")
    logging.getLogger("asyncio").log(35, "odd level")
    logging.getLogger("asyncio").info("too low")
    found = [json.loads(line) for line in written]
    assert [(one["logger"], one["level"], one["event"]) for one in found] == [
        ("asyncio", "warning", "slow\r\ncallback"),
        ("asyncio", "warning", "odd level"),
    ]


@pytest.mark.parametrize(
    ("terminal", "file", "start"),
    [(True, False, b"\x1b"), (False, False, b"{"), (True, True, b"{")],
)
def test_auto_is_for_people_on_a_terminal_only(monkeypatch, tmp_path, terminal, file, start):
    lines = []
    monkeypatch.setattr(os, "write", lambda _descriptor, line: lines.append(line) or len(line))
    monkeypatch.setattr(os, "isatty", lambda descriptor: terminal and descriptor == 2)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    setup.configure_log(LogConfig(), tmp_path / "log" if file else None)
    get_logger("x").info("one")
    assert lines[0].startswith(start)


@pytest.mark.parametrize("name", ["time", "level", "logger"])
def test_a_field_with_the_name_of_one_of_the_line_replaces_it(name):
    line = render.render_json(setup.LineWriter("x"), "info", {name: "mine", "event": "e"})
    assert line.count(f'"{name}"'.encode()) == 1
    assert json.loads(line)[name] == "mine"


def test_a_name_of_a_logger_cannot_forge_fields():
    line = render.render_json(setup.LineWriter('x","a":"'), "info", {"event": "e"})
    assert json.loads(line)["logger"] == 'x","a":"'


def test_a_write_error_is_ignored(monkeypatch):
    def full(*_args):
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", full)
    assert setup.LineWriter("x").write(b"line\n") is None
