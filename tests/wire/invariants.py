"""Invariants for any input and any answers, for the property tests and the fuzzers."""

import re
from collections.abc import Callable

from tests.wire.driver import ADDITIONS, SPLITS, Answerer, Played, play, usual

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import SmtpServer, WireLimits
from gatepost.wire.smtp.syntax.extensions import PARAMETERS
from gatepost.wire.smtp.syntax.values import MAX_ADDED

SMALL = WireLimits(command_line=100, message_size=60)

_REPLY_LINE = re.compile(r"([2-5][0-9]{2})([ -])([ -~]*)")
_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3} ")
_VALUE = re.compile(rf"[!-<>-~]{{0,{MAX_ADDED}}}")
_RCPT = "RCPT", ADDITIONS.rcpt
_IMPURE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


def assert_replies_well_formed(output: bytes) -> None:
    lines = output.decode("ascii").split("\r\n")
    assert lines.pop() == "", output[-80:]
    continued = None
    for line in lines:
        match = _REPLY_LINE.fullmatch(line)
        assert match is not None, line
        assert len(line) + 2 <= 512
        assert continued in (None, match[1]), line
        continued = match[1] if match[2] == "-" else None
    assert continued is None, "the last line of a reply is missing"


def assert_classes_match(output: bytes) -> None:
    """Assert that each enhanced status code has the class of its reply code."""
    for line in output.decode("ascii").split("\r\n"):
        enhanced = _ENHANCED.match(line, len("250 "))
        assert enhanced is None or enhanced[1] == line[0], line


def assert_content_pure(events: list[e.Event]) -> None:
    """Assert that every accepted message is pure, over all its chunks."""
    message = b""
    for event in events:
        if type(event) is e.Content:
            message += event.data
        elif type(event) is e.EndOfMessage:
            assert _IMPURE.search(message) is None, message
            message = b""
        elif type(event) is not e.ChunkEnd and not (type(event) is e.Bdat and not event.first):
            message = b""


def assert_answered(played: Played, answer: Answerer) -> None:
    """Assert one reply for each event, none for content or a chunk that is not read yet."""
    silent = (e.Content, e.Bdat)
    expected = [answer(event).encoded for event in played.events if type(event) not in silent]
    if played.closed and type(played.events[-1]) is e.Bdat:
        last_words = played.server.last_words
        assert isinstance(last_words, Reply)
        expected.append(last_words.encoded)
    assert played.output == b"".join(expected)


def settled(events: list[e.Event]) -> list[e.Event]:
    """Return the events without the content of an unfinished message, which may end in a fault."""
    return events[:-1] if events and type(events[-1]) is e.Content else events


def assert_added(events: list[e.Event]) -> None:
    """Assert that commands and parameters of plugins are those that they have added."""
    for event in events:
        if isinstance(event, e.Added):
            row = ADDITIONS.verbs[event.verb]
            assert row.junk == (type(event) is e.IdleAdded)
            assert row.max_arguments is None or len(event.text.split()) <= row.max_arguments
        elif isinstance(event, e.Mail | e.Rcpt):
            command, added = ("MAIL", ADDITIONS.mail) if type(event) is e.Mail else _RCPT
            for keyword in event.params.keys() - PARAMETERS[command]:
                assert keyword in added
                assert _VALUE.fullmatch(event.params[keyword])


def assert_all(
    data: bytes,
    answer: Answerer = usual,
    limits: WireLimits = SMALL,
    make: Callable[..., SmtpServer] = SmtpServer,
) -> Played:
    """Play the data in every split; assert sound and equal results."""
    first, *others = [play(data, split, answer, limits, make) for split in SPLITS]
    for other in others:
        assert settled(other.events) == settled(first.events)
        assert other.output == first.output
        assert (other.state, other.closed) == (first.state, first.closed)
    for played in (first, *others):
        assert played.most_unread < limits.command_line
    assert_replies_well_formed(first.output)
    assert_classes_match(first.output)
    assert_content_pure(first.events)
    return first
