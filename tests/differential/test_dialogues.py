"""Dialogues by topic, each with the section of the RFC that requires its replies.

Other servers' test suites cover the same cases. The rows are our own: a row whose reply differs
from another server's has the reason. Every row is played in pieces, octet by octet, and in one
piece, over SMTP and LMTP unless it is for one of them.
"""

import importlib
import pkgutil
import re

import pytest
from tests.differential import topics
from tests.differential.player import play
from tests.differential.row import ANY_CUT, one

# Every module of the package: a new topic is played without being listed here.
TOPICS = tuple(
    importlib.import_module(f"{topics.__name__}.{module.name}")
    for module in sorted(pkgutil.iter_modules(topics.__path__), key=lambda module: module.name)
)
PROTOCOLS = ("smtp", "lmtp")
LEAST_ROWS = 300


def cases():
    for topic in TOPICS:
        name = topic.__name__.rpartition(".")[2]
        for row in topic.ROWS:
            for protocol in (row.only,) if row.only else PROTOCOLS:
                identity = f"{protocol}, {name}: {row.name}"
                yield pytest.param(row, topic, protocol, id=identity)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("server")


@pytest.mark.parametrize(("row", "topic", "protocol"), [*cases()])
def test_replies_are_those_of_the_rfc(row, topic, protocol, folder):
    play(row, row.server or topic.SERVER, protocol, topic.CUTS, folder)


@pytest.mark.parametrize(
    ("replies", "messages"), [("250", None), ("500 500", None), ("5 close", None), ("500", [b""])]
)
def test_a_difference_is_found(replies, messages, folder):
    row = one("a wrong row", "none", "XYZZY", replies, messages=messages)
    with pytest.raises(AssertionError):
        play(row, "usual", "smtp", ANY_CUT, folder)


def test_every_row_names_a_section_and_no_name_occurs_twice():
    for topic in TOPICS:
        names = [row.name for row in topic.ROWS]
        assert len(set(names)) == len(names)
        for row in topic.ROWS:
            assert re.fullmatch(r"RFC \d{4} [\dA-F](\.\d+)*", row.section)


def test_the_suite_is_large():
    assert sum(len(topic.ROWS) for topic in TOPICS) >= LEAST_ROWS
