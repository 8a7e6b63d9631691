"""Invariants of the milter protocol for any octets and any answers, for property tests and fuzzers.

- Every octet ends in events, in the buffer, or in a `Fault`, after which the wire is closed.
- Content is pure up to the event that ends its message, and within the limit of its size.
- Each command has at most one last response, and responses are well-formed packets.
- Text of the mail server is printable.
"""

import itertools
import re
from collections.abc import Iterable, Sequence

from tests.wire.mta import DENIED, OK, Talk, plain, responses

from gatepost.wire import events as e
from gatepost.wire.milter.events import Client, Piece

SIZE = 200
_IMPURE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_CHANGES = "hmi+2-bqp"


def assert_events_are_sound(octets: bytes, refusals: Sequence[bool]) -> None:
    talk = _talked([octets], refusals)
    content = b""
    for event in map(plain, talk.events):
        if isinstance(event, e.Content | Piece):
            content += event.data
            assert len(content) <= SIZE
        elif isinstance(event, e.EndOfMessage):
            assert not _IMPURE.search(content)
        if not isinstance(event, e.Content | Piece | e.Data):
            content = b""
        assert all(text.isprintable() for text in _texts(event))
    answered = sum(not isinstance(one, e.Content) for one in talk.events)
    last = [code for code, _ in responses(talk.sent) if code not in _CHANGES]
    assert len(last) <= answered
    if any(type(one) is e.Fault for one in talk.events):
        assert talk.wire.closed
        assert type(talk.events[-1]) is e.Fault


def assert_same_events(octets: bytes, pieces: Iterable[bytes]) -> None:
    """Assert that the events do not depend on how the input is cut."""
    assert _talked(pieces, []).events == _talked([octets], []).events


def _talked(pieces: Iterable[bytes], refusals: Sequence[bool]) -> Talk:
    answers = itertools.cycle([DENIED if refused else OK for refused in refusals] or [OK])
    return Talk(answer=lambda _event: next(answers), size=SIZE).play(*pieces)


def _texts(event: e.Event) -> Iterable[str]:
    match event:
        case Client(name, peer):
            return (name, peer.host)
        case e.Helo(name):
            return (name,)
        case e.Mail(path, params) | e.Rcpt(path, params):
            return (path.local, path.domain, *params, *params.values())
        case e.Unknown(verb, text):
            return (verb, text)
        case _:
            return ()
