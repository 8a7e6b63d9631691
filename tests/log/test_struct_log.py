"""Structs as log lines: the same line as the general way writes."""

import json
import os

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from structlog.testing import capture_logs
from tests.log.test_log import EVERYTHING

from gatepost.config.schema import LogConfig
from gatepost.log import render, setup
from gatepost.log.logger import get_logger
from gatepost.log.struct_log import StructLog, fields_of
from gatepost.model.secret import Secret

TEXT = EVERYTHING | st.text(max_size=20)


class Line(msgspec.Struct):
    """An event with each kind of field."""

    text: str | msgspec.UnsetType = UNSET
    texts: list[str] | msgspec.UnsetType = UNSET
    number: int = 0
    flag: bool | msgspec.UnsetType = UNSET
    event: str = ""


EVENTS = st.builds(
    Line,
    TEXT | st.just(UNSET),
    st.lists(TEXT, max_size=3) | st.just(UNSET),
    st.integers(0, 2**40),
    st.booleans() | st.just(UNSET),
    TEXT,
)


@pytest.fixture
def written(monkeypatch):
    lines = []
    monkeypatch.setattr(os, "write", lambda _descriptor, line: lines.append(line))
    return lines


def log_of(**options):
    setup.configure_log(LogConfig(**options))
    return StructLog(get_logger("gatepost.x").bind(), "gatepost.x")


def timeless(line):
    """Return a line without its time, which has a fixed length."""
    assert json.loads(line)["time"].endswith("Z")
    return line.partition(b"Z")[2]


@given(EVENTS)
def test_the_line_is_that_of_the_general_way(event):
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda _descriptor, line: lines.append(line))
        log_of(format="json").info(event)
    general = render.render_json(setup.LineWriter("gatepost.x"), "info", fields_of(event))
    assert [timeless(line) for line in lines] == [timeless(general)]


def test_no_secret_is_written(written):
    log_of(format="json").info(Line(Secret("word"), event="e"))
    assert json.loads(written[0])["text"] == "<secret>"


def test_a_process_that_writes_text_writes_text(written):
    log_of(format="text").info(Line("a b", ["c"], event="e"))
    assert (
        written[0].decode().partition(" ")[2]
        == 'info    gatepost.x e text="a b" texts=[c] number=0\n'
    )


def test_another_configuration_of_structlog_gets_the_event():
    log = log_of(format="json")
    with capture_logs() as events:
        log.info(Line(number=1, event="e"))
    assert events == [{"number": 1, "event": "e", "log_level": "info"}]


def test_an_embedded_server_logs_to_logging(caplog):
    structlog.reset_defaults()
    with caplog.at_level("INFO", logger="gatepost.x"):
        StructLog(get_logger("gatepost.x").bind(), "gatepost.x").info(Line("a", event="e"))
    assert [one.message for one in caplog.records] == ["e text=a number=0"]
