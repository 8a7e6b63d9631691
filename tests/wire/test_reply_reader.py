"""Replies of a next hop, whole and octet by octet: a reply, no reply yet, or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import SPLITS
from tests.wire.invariants import assert_replies_well_formed

from gatepost.model.reply import MAX_LINES, Reply
from gatepost.wire.smtp.sending.reply_reader import MAX_LINE, PeerError, ReplyReader


def read(data, split):
    """Return the replies, and the text of the error that follows them, if any."""
    reader, replies = ReplyReader(), []
    try:
        for piece in split(data):
            reader.receive_data(piece)
            while (reply := reader.next_reply()) is not None:
                replies.append(reply)
    except PeerError as error:
        return replies, str(error)
    return replies, ""


def read_all_ways(data):
    first, *others = [read(data, split) for split in SPLITS]
    for other in others:
        assert other == first
    return first


GOOD = {
    b"250 ok\r\n": Reply(250, "ok"),
    b"250\r\n": Reply(250, ""),
    b"250 \r\n": Reply(250, ""),
    b"250 2.1.5 Ok\r\n": Reply(250, "Ok", "2.1.5"),
    b"250 2.1.5\r\n": Reply(250, "", "2.1.5"),
    b"250 5.1.1 odd\r\n": Reply(250, "5.1.1 odd"),
    b"354 3.0.0 go\r\n": Reply(354, "3.0.0 go"),
    b"550 5.1.1.1 x\r\n": Reply(550, "5.1.1.1 x"),
    b"550-5.7.1 a\r\n550 5.7.1 b\r\n": Reply(550, "a\nb", "5.7.1"),
    b"550-a\r\n550-5.7.1 b\r\n550 5.7.2 c\r\n": Reply(550, "a\nb\n5.7.2 c", "5.7.1"),
    b"250-\r\n250\r\n": Reply(250, "\n"),
    "550 Emp\u00e4nger\x1b[0m\trot\r\n".encode(): Reply(550, "Emp??nger?[0m?rot"),
    b"250 ok\n": Reply(250, "ok"),
    b"250-a\n250 b\r\n": Reply(250, "a\nb"),
    b"250-a\r\n250 b\n": Reply(250, "a\nb"),
    b"250\n": Reply(250, ""),
    b"250 ok\r\r\n": Reply(250, "ok?"),
    b"250 a\rb\r\n": Reply(250, "a?b"),
    b"250 " + b"x" * (MAX_LINE - 6) + b"\r\n": Reply(250, "x" * (MAX_LINE - 6)),
    b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n": Reply(250, "\n".join("x" * MAX_LINES)),
}
BAD = {
    b"\r\n": "expected a reply code and text, found ''",
    b"OK\r\n": "expected a reply code and text, found 'OK'",
    b"25 ok\r\n": "expected a reply code and text, found '25 ok'",
    b"2500 ok\r\n": "expected a reply code and text, found '2500 ok'",
    b"150 ok\r\n": "expected a reply code and text, found '150 ok'",
    b"650 ok\r\n": "expected a reply code and text, found '650 ok'",
    b"250_ok\r\n": "expected a reply code and text, found '250_ok'",
    b"250\tok\r\n": "expected a reply code and text, found '250?ok'",
    "\u0662\u0665\u0660 ok\r\n".encode(): "expected a reply code and text, found '?????? ok'",
    b"250-a\r\n550 b\r\n": "expected 250 and text, found '550 b'",
    b"250-a\r\nb\r\n": "expected 250 and text, found 'b'",
    b"\n": "expected a reply code and text, found ''",
    b"x" * MAX_LINE: f"a reply line of more than {MAX_LINE} octets",
    b"250 " + b"x" * (MAX_LINE - 5) + b"\r\n": f"a reply line of more than {MAX_LINE} octets",
    b"250-x\r\n" * (MAX_LINES + 1): f"a reply of more than {MAX_LINES} lines",
}


@pytest.mark.parametrize("data", GOOD, ids=lambda data: repr(data[:40]))
def test_valid_replies_are_read(data):
    replies, error = read_all_ways(data)
    assert error == ""
    assert [(one.code, one.enhanced, one.text) for one in replies] == [
        (GOOD[data].code, GOOD[data].enhanced, GOOD[data].text)
    ]


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:40]))
def test_malformed_replies_are_errors(data):
    assert read_all_ways(b"220 hi\r\n" + data) == ([Reply(220, "hi")], BAD[data])


@pytest.mark.parametrize("data", [b"", b"2", b"250 o", b"250 ok\r", b"250-ok\r\n"])
def test_an_incomplete_reply_waits_for_more(data):
    reader = ReplyReader()
    reader.receive_data(b"220 hi\r\n" + data)
    assert reader.next_reply() == Reply(220, "hi")
    assert reader.next_reply() is None
    assert (reader.unread > 0) == (data != b"")


REPLIES = st.builds(
    lambda code, enhanced, lines: Reply(
        code, "\n".join(lines), f"{code // 100}.1.1" if enhanced else None
    ),
    st.integers(200, 599).filter(lambda code: code // 100 != 3),
    st.booleans(),
    st.lists(st.text(st.characters(codec="ascii", categories=["L", "P"]), min_size=1), min_size=1),
)


@given(st.lists(REPLIES))
def test_our_own_replies_are_read_back_unchanged(replies):
    found, error = read_all_ways(b"".join(reply.encoded for reply in replies))
    assert error == ""
    assert [one.encoded for one in found] == [one.encoded for one in replies]


PIECES = st.sampled_from(
    [b"250", b"550", b"-", b" ", b"x", b"5.1.1", b"\r\n", b"\n", b"\r", b"\xe9"]
)


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map(b"".join)))
def test_any_bytes_give_replies_or_an_error(data):
    replies, _ = read_all_ways(data)
    for reply in replies:
        assert_replies_well_formed(reply.encoded)
