import pytest
from tests.wire.driver import (
    DEFERRED,
    DENIED,
    HELLO,
    MAIL,
    OK,
    RCPT,
    SPLITS,
    at_line_ends,
    but,
    bytewise,
    play,
)

from gatepost.wire import events as e
from gatepost.wire.smtp import State, WireLimits

SYNTAX = "501 5.5.4 Syntax error: expected BDAT size [LAST]"
IMPURE = "550 5.6.0 Message contains a bare CR, bare LF or NUL"
TOO_BIG = "552 5.3.4 Message size exceeds the limit"
FAILED = "503 5.5.1 Bad sequence of commands: the transaction has failed"
NO_RECIPIENTS = "554 5.5.1 No valid recipients"
TINY = WireLimits(message_size=10)


def content(played):
    return b"".join(event.data for event in played.of(e.Content))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("before", [b"", HELLO, MAIL, RCPT, RCPT + b"BDAT 1\r\nx"])
@pytest.mark.parametrize(
    "line",
    [
        b"BDAT",
        b"BDAT ",
        b"BDAT x",
        b"BDAT -1",
        b"BDAT +1",
        b"BDAT 1 FIRST",
        b"BDAT 1LAST",
        b"BDAT 1 LAST LAST",
        b"BDAT 99999999999999999999",
        b"BDAT 1.0",
        b"BDAT \xd9\xa1",
        b"BDAT\t1",
        b"bdat 1\t",
        b"BDAT \xff",
    ],
)
def test_a_chunk_of_unknown_size_closes(line, before, split):
    played = play(before + line + b"\r\nNOOP\r\n", split)
    assert played.replies[-1] == SYNTAX
    assert played.closed
    assert played.of(e.Noop) == []


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([b""], b""),
        ([b"one"], b"one"),
        ([b"a\r\n", b".\r\n", b"..b\r\n"], b"a\r\n.\r\n..b\r\n"),
        ([b"x\r\n.\r\nQUIT\r\n", b""], b"x\r\n.\r\nQUIT\r\n"),
        ([b"a\r", b"\nb"], b"a\r\nb"),
        ([b"\r", b"\n", b"\r", b"\n"], b"\r\n\r\n"),
        ([b"Sub", b"ject: a\r\n\r", b"\n"], b"Subject: a\r\n\r\n"),
    ],
)
def test_chunks_are_joined_unchanged(chunks, message, split):
    *others, last = chunks
    sent = b"".join(b"BDAT %d\r\n" % len(chunk) + chunk for chunk in others)
    sent += b"BDAT %d LAST\r\n" % len(last) + last
    played = play(RCPT + sent + b"NOOP\r\n", split)
    assert content(played) == message
    assert played.replies[3:] == ["250 2.0.0 ok"] * (len(chunks) + 1)
    assert [event.first for event in played.of(e.Bdat)] == [True] + [False] * len(others)
    assert played.state is State.READY


@pytest.mark.parametrize(
    "line", [b"bdat 1 last", b"BDAT 1  Last", b"BDAT 1 LAST  ", b"BDAT 01 LAST"]
)
def test_the_argument_of_bdat_ignores_case_and_blanks(line):
    played = play(RCPT + line + b"\r\nx")
    assert played.events[-3:] == [
        e.Bdat(1, last=True, first=True),
        e.Content(b"x"),
        e.EndOfMessage(),
    ]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("chunks", "accepted"),
    [
        ([b"a\nb"], 0),
        ([b"a\r"], 0),
        ([b"ok", b"a\rb"], 1),
        ([b"a\r", b"b"], 1),
        ([b"a\r", b""], 1),
        ([b"a\r", b"\r\n"], 1),
        ([b"\n"], 0),
        ([b"ok\r\n", b"\0"], 1),
    ],
)
def test_impure_content_is_refused_at_the_end_of_its_chunk(chunks, accepted, split):
    *others, last = chunks
    sent = b"".join(b"BDAT %d\r\n" % len(chunk) + chunk for chunk in others)
    sent += b"BDAT %d LAST\r\n" % len(last) + last
    played = play(RCPT + sent + b"NOOP\r\n", split)
    assert played.replies[3:] == ["250 2.0.0 ok"] * accepted + [IMPURE]
    assert played.closed
    assert played.of(e.EndOfMessage) == []


def test_an_impure_chunk_fails_the_message_if_the_session_continues():
    played = play(
        RCPT + b"BDAT 2\r\n\n\nBDAT 6 LAST\r\nQUIT\r\nRCPT TO:<c@d>\r\n",
        answer=but({e.MessageFault: DENIED}),
    )
    assert played.replies[3:] == [
        "550 5.7.1 no",
        FAILED,
        "503 5.5.1 Bad sequence of commands: MAIL first",
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_an_empty_chunk_without_last_is_refused(split):
    played = play(RCPT + b"BDAT 0\r\nBDAT 0\r\nBDAT 0 LAST\r\nDATA\r\n", split)
    assert played.replies[3:] == [
        "551 5.7.1 Empty BDAT chunk without LAST",
        FAILED,
        FAILED,
        "503 5.5.1 Bad sequence of commands: MAIL first",
    ]
    assert played.of(e.Bdat) == []


@pytest.mark.parametrize("split", SPLITS)
def test_a_chunk_over_the_limit_is_refused_before_it_is_read(split):
    played = play(RCPT + b"BDAT 11 LAST\r\nhello worldNOOP\r\n", split, limits=TINY)
    assert played.replies[3:] == [TOO_BIG, "250 2.0.0 ok"]
    assert played.of(e.Bdat) == []
    assert played.state is State.READY


@pytest.mark.parametrize("split", SPLITS)
def test_the_limit_applies_to_the_sum_of_the_chunks(split):
    sent = b"BDAT 6\r\nhello\rBDAT 4\r\n\nabcBDAT 1\r\nxBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
    played = play(RCPT + sent, split, limits=TINY)
    assert played.replies[3:] == ["250 2.0.0 ok"] * 2 + [TOO_BIG, FAILED, "250 2.0.0 ok"]
    assert content(played) == b"hello\r\nabc"


@pytest.mark.parametrize("split", SPLITS)
def test_a_held_cr_counts_towards_the_limit(split):
    played = play(RCPT + b"BDAT 10\r\n012345678\rBDAT 1 LAST\r\n\n", split, limits=TINY)
    assert played.replies[3:] == ["250 2.0.0 ok", TOO_BIG]
    assert len(played.of(e.Bdat)) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_a_message_at_the_limit_is_accepted(split):
    played = play(RCPT + b"BDAT 5\r\nhelloBDAT 5 LAST\r\nworld", split, limits=TINY)
    assert played.replies[3:] == ["250 2.0.0 ok"] * 2


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("before", [b"", HELLO, MAIL, RCPT])
def test_discarding_has_a_limit(before, split):
    played = play(before + b"BDAT 41 LAST\r\n" + b"x" * 41 + b"NOOP\r\n", split, limits=TINY)
    assert played.replies[-1] == TOO_BIG
    assert played.closed
    assert played.of(e.Noop) == []


def test_discarded_octets_add_up_within_one_message():
    refused = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 10 LAST\r\n0123456789"
    played = play(HELLO + refused * 9, limits=TINY, answer=but({e.Bdat: DEFERRED}))
    assert played.replies[3::3] == ["451 4.7.1 later"] * 9
    spoiled = RCPT + b"BDAT 10\r\n0123456789" * 6
    played = play(spoiled, limits=TINY, answer=but({e.Bdat: DEFERRED}))
    assert played.replies[3:] == ["451 4.7.1 later", FAILED, FAILED, FAILED, TOO_BIG]
    assert played.closed


def test_a_chunk_without_recipients_ends_the_transaction():
    played = play(MAIL + b"BDAT 2\r\nxyRCPT TO:<c@d>\r\nBDAT 2 LAST\r\nxyMAIL FROM:<a@b>\r\n")
    assert played.replies[2:] == [NO_RECIPIENTS, FAILED, FAILED, "250 2.0.0 ok"]
    assert [type(event) for event in played.events[2:]] == [
        e.MessageFault,
        e.Fault,
        e.Fault,
        e.Mail,
    ]


def test_a_refusal_is_sent_after_its_chunk():
    answer = but({e.Bdat: DENIED})
    played = play(RCPT + b"BDAT 6 LAST\r\nQUIT", answer=answer)
    assert played.replies[3:] == []
    played = play(RCPT + b"BDAT 6 LAST\r\nQUIT\r\n", answer=answer)
    assert played.replies[3:] == ["550 5.7.1 no"]
    assert played.of(e.ChunkRefused) == [e.ChunkRefused(DENIED)]


@pytest.mark.parametrize("split", SPLITS)
def test_a_closing_refusal_is_sent_at_once(split):
    played = play(RCPT + b"BDAT 600 LAST\r\nQUIT", split, but({e.Bdat: DENIED.closing()}))
    assert played.replies[3:] == ["550 5.7.1 no"]
    assert played.closed


@pytest.mark.parametrize("split", [bytewise, at_line_ends])
def test_many_chunks_are_not_buffered(split):
    played = play(RCPT + b"BDAT 1\r\nx" * 500, split)
    assert len(content(played)) == 500
    assert played.most_unread < max(map(len, RCPT.splitlines(keepends=True)))


def test_a_dot_line_behind_a_wrong_size_is_a_command():
    played = play(RCPT + b"BDAT 1\r\nhello\r\n.\r\n")
    assert played.replies[3:] == [
        "250 2.0.0 ok",
        "250 2.0.0 ok",
        "500 5.5.2 Syntax error: command unrecognised",
    ]
    assert played.of(e.Unknown) == [e.Unknown("ELLO", "")]


def test_a_chunk_after_a_refused_data_is_out_of_order():
    played = play(RCPT + b"DATA\r\nBDAT 6 LAST\r\nQUIT\r\n", answer=but({e.Data: DENIED}))
    assert played.replies[3:] == ["550 5.7.1 no", "503 5.5.1 Bad sequence of commands: MAIL first"]


def test_rset_drops_the_chunks():
    sent = b"BDAT 6\r\nhello\rRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2 LAST\r\nhi"
    played = play(RCPT + sent, limits=TINY, answer=but({e.EndOfMessage: OK}))
    assert played.events[-2:] == [e.Content(b"hi"), e.EndOfMessage()]
