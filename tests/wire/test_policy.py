"""The codec of policy requests: requests in any pieces, answers of one line, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.model.reply import Reply
from gatepost.wire.events import Fault
from gatepost.wire.policy import (
    MAX_ATTRIBUTES,
    MAX_REQUEST,
    MAX_TEXT,
    UNREADABLE,
    PolicyWire,
    Request,
    action,
    answer,
    request,
)
from gatepost.wire.protocol import NEED_DATA, PAUSED, ProtocolError, Signal

FIRST = b"request=smtpd_access_policy\n"
OK = Reply(250, "Ok", "2.0.0")
WHOLE = FIRST + b"protocol_state=RCPT\nrecipient=a=b@example.com\nempty=\n\n"


def outcome(pieces):
    """Return the events of a connection that gets these pieces, each answered with OK."""
    wire, events = PolicyWire(), []
    for piece in pieces:
        wire.receive_data(piece)
        while not isinstance(event := wire.next_event(), Signal):
            events.append(event)
            wire.send(event.reply if isinstance(event, Fault) else OK)
    return events, wire.closed


def test_a_request_is_its_attributes():
    (request,), closed = outcome([WHOLE])
    assert request == Request(
        {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "recipient": "a=b@example.com",
            "empty": "",
        }
    )
    assert not closed


def test_requests_may_be_pipelined_and_the_next_one_waits_for_the_answer():
    wire = PolicyWire()
    wire.receive_data(WHOLE + WHOLE)
    first = wire.next_event()
    assert wire.next_event() is PAUSED
    assert wire.send(OK) == b"action=DUNNO\n\n"
    assert wire.next_event() == first
    assert wire.unread == 0


def test_there_is_no_sign_of_progress():
    assert PolicyWire().progress() == b""


def test_an_answer_without_a_request_is_an_error_of_the_caller():
    with pytest.raises(ProtocolError):
        PolicyWire().send(OK)


@pytest.mark.parametrize(
    "request_",
    [
        b"\n\n",
        b"\n" + WHOLE,
        b"protocol_state=RCPT\n\n",
        b"request=other\n\n",
        FIRST + b"no equals sign\n\n",
        FIRST + b"=value\n\n",
        FIRST + b"sender=a\nsender=b\n\n",
        FIRST + b"sender=a\0b\n\n",
        FIRST + b"".join(b"a%d=\n" % n for n in range(MAX_ATTRIBUTES)) + b"\n",
        FIRST + b"a=" + b"x" * MAX_REQUEST + b"\n\n",
    ],
)
def test_a_malformed_request_closes_the_connection_without_an_answer(request_):
    wire = PolicyWire()
    wire.receive_data(request_ + WHOLE)
    assert wire.next_event() == Fault(UNREADABLE)
    assert wire.send(UNREADABLE) == b""
    assert wire.closed
    wire.receive_data(WHOLE)
    assert wire.next_event() is PAUSED
    assert wire.unread == 0


def test_a_request_that_never_ends_is_refused_at_the_limit():
    wire = PolicyWire()
    wire.receive_data(b"x" * (MAX_REQUEST + 1))
    assert wire.next_event() is NEED_DATA
    wire.receive_data(b"x")
    assert wire.next_event() == Fault(UNREADABLE)


def test_the_largest_request_is_read_in_any_pieces():
    largest = FIRST + b"a=" + b"x" * (MAX_REQUEST - len(FIRST) - 2) + b"\n\n"
    assert len(largest) == MAX_REQUEST + 2
    pieces = [bytes([octet]) for octet in largest]
    assert outcome(pieces) == outcome([largest])
    assert not outcome(pieces)[1]


def test_values_that_are_not_utf8_are_replaced():
    ((request,), _) = outcome([FIRST + "sender=ü".encode() + b"\xff\n\n"])
    assert request.attributes["sender"] == "ü�"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (OK, b"action=DUNNO\n\n"),
        (Reply(354, "Start"), b"action=DUNNO\n\n"),
        (Reply(554, "No", "5.7.1"), b"action=554 5.7.1 No\n\n"),
        (Reply(450, "Later"), b"action=450 Later\n\n"),
        (Reply(550, "One\ntwo\r\n\nü three", "5.1.1"), b"action=550 5.1.1 One two three\n\n"),
    ],
)
def test_an_answer_is_one_line(reply, expected):
    assert answer(reply) == expected


def test_a_long_answer_keeps_its_reference():
    reply = Reply(554, "x" * 3000, "5.7.1").with_reference("ref-1")
    line = answer(reply)
    assert line.endswith(b"x [ref-1]\n\n")
    assert len(answer(Reply(554, "x" * 3000))) == len(b"action=554 \n\n") + MAX_TEXT
    long = Reply(554, "y" * 470, "5.7.1", reference="ref-1")
    assert answer(long).endswith(b"y [ref-1]\n\n")


@given(st.integers(400, 599), st.text(max_size=2000), st.sampled_from(["", "ref-1"]), st.booleans())
def test_any_refusal_is_one_well_formed_line(code, text, reference, enhanced):
    reply = Reply(code, text, f"{code // 100}.7.1" if enhanced else None)
    line = answer(reply.with_reference(reference) if reference else reply)
    assert line.startswith(b"action=%d" % code)
    assert line.endswith(b"\n\n")
    assert line[:-2].isascii()
    assert line[:-2].decode().isprintable()
    assert len(line) < 512


LINES = st.sampled_from([FIRST, b"\n", b"sender=a@b\n", b"recipient=\n", b"x\n", b"=\n", WHOLE])


@given(
    st.lists(LINES | st.binary(max_size=40), max_size=30).map(b"".join),
    st.lists(st.integers(0, 400), max_size=20),
)
def test_any_bytes_in_any_pieces_give_the_same_events(data, cuts):
    ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert outcome(pieces) == outcome([data])
    assert all(isinstance(event, Request | Fault) for event in outcome(pieces)[0])


def test_a_request_is_written_as_it_is_read():
    attributes = {"request": "smtpd_access_policy", "sender": "a\nb\0c@example.com", "size": ""}
    wire = PolicyWire()
    wire.receive_data(request(attributes))
    assert wire.next_event().attributes == {
        "request": "smtpd_access_policy",
        "sender": "a b c@example.com",
    }


@pytest.mark.parametrize(
    ("octets", "value"),
    [(b"action=DUNNO\n\n", "DUNNO"), (b"action=554 5.7.1 a=b\n\n", "554 5.7.1 a=b")],
)
def test_the_action_of_an_answer_is_read(octets, value):
    assert action(octets) == value


@pytest.mark.parametrize(
    "octets", [b"", b"DUNNO\n\n", b"reply=x\n\n", b"action=a\nb\n\n", b"action=\xff\n\n"]
)
def test_an_answer_without_an_action_is_an_error(octets):
    with pytest.raises(ValueError, match=r"expected action=|ascii"):
        action(octets)
