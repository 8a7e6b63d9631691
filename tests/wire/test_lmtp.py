"""LMTP (RFC 2033): the verbs, and the number of replies to each event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import BYE, DEFERRED, DENIED, GO_AHEAD, SPLITS, but, play

from gatepost.model.reply import RecipientReplies, Reply
from gatepost.wire import events as e
from gatepost.wire.lmtp import COMMANDS, LmtpServer
from gatepost.wire.smtp import State, WireLimits
from gatepost.wire.smtp import commands as smtp

OK = "250 2.0.0 ok"
NO = str(DENIED)
LHLO = b"LHLO client.example\r\n"
THREE = LHLO + b"MAIL FROM:<a@b>\r\n" + b"".join(b"RCPT TO:<%d@d>\r\n" % n for n in range(3))
SPOILED = "503 5.5.1 Bad sequence of commands: the transaction has failed"
MAIL_FIRST = "503 5.5.1 Bad sequence of commands: MAIL first"


def talk(data, answer=None, split=SPLITS[0], **options):
    """Return the replies (after those to THREE, if the data starts with it) and the play."""
    answerer = but(answer or {})
    played = play(data, split, answerer, make=LmtpServer, **options)
    return played.replies[5:] if data.startswith(THREE) else played.replies, played


def after_lhlo(lines):
    return talk(LHLO + lines)[0][1:]


def test_lhlo_is_the_greeting():
    replies, played = talk(LHLO)
    assert replies == [OK]
    assert played.of(e.Ehlo) == [e.Ehlo("client.example")]
    assert played.state is State.READY


@pytest.mark.parametrize("verb", ["EHLO", "HELO", "ehlo"])
@pytest.mark.parametrize("before", [b"", THREE])
def test_ehlo_and_helo_are_refused_in_any_state(verb, before):
    replies, played = talk(before + f"{verb} x\r\nNOOP\r\n".encode())
    assert replies == ["500 5.5.1 This is LMTP: expected LHLO", OK]
    assert played.state is (State.RCPT if before else State.START)


def test_lhlo_is_unknown_to_smtp():
    assert play(LHLO).of(e.Unknown) == [e.Unknown("LHLO", "client.example")]


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA", "BDAT 0 LAST"])
def test_lhlo_is_required_first(line):
    first = "503 5.5.1 Bad sequence of commands: LHLO first"
    assert talk(f"{line}\r\n".encode())[0] == [first]


def test_data_without_recipients_is_503():
    assert after_lhlo(b"MAIL FROM:<a@b>\r\nDATA\r\n")[1:] == ["503 5.5.1 No valid recipients"]


def test_all_other_commands_are_those_of_smtp():
    assert set(COMMANDS) == {*smtp.COMMANDS, "LHLO"}
    for verb in set(smtp.COMMANDS) - {"EHLO", "HELO"}:
        ours, theirs = COMMANDS[verb], smtp.COMMANDS[verb]
        assert (ours.event, ours.flags) == (theirs.event, theirs.flags)
        for cell, other in zip(ours.transitions, theirs.transitions, strict=True):
            assert cell == other or (cell.code, other.code) in {(503, 503), (503, 554)}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("answer", [Reply(250, "ok", "2.0.0"), DEFERRED, DENIED])
@pytest.mark.parametrize(
    ("content", "before"),
    [
        (b"DATA\r\nx\r\n.\r\n", [str(GO_AHEAD)]),
        (b"BDAT 3 LAST\r\nx\r\n", []),
        (b"BDAT 1\r\nxBDAT 2 LAST\r\n\r\n", [OK]),
    ],
)
def test_the_end_of_a_message_is_answered_for_each_recipient(content, before, answer, split):
    replies, played = talk(THREE + content + b"NOOP\r\n", {e.EndOfMessage: answer}, split)
    assert replies == [*before, *[str(answer)] * 3, OK]
    assert played.state is State.READY


def test_only_accepted_recipients_have_a_reply():
    answers = iter([DENIED, Reply(250, "ok", "2.0.0"), DEFERRED])

    def answer(event):
        return next(answers) if type(event) is e.Rcpt else but({})(event)

    played = play(THREE + b"DATA\r\n.\r\nNOOP\r\n", answer=answer, make=LmtpServer)
    assert played.replies[2:] == [NO, OK, str(DEFERRED), str(GO_AHEAD), OK, OK]


def test_a_recipient_named_twice_is_answered_twice():
    twice = LHLO + b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * 2 + b"DATA\r\n.\r\nQUIT\r\n"
    assert talk(twice)[0][4:] == [str(GO_AHEAD), OK, OK, str(BYE)]


def test_each_recipient_may_have_its_own_reply():
    each = RecipientReplies([DENIED, Reply(250, "ok", "2.0.0"), DEFERRED])
    replies, _ = talk(THREE + b"DATA\r\n.\r\nNOOP\r\n", {e.EndOfMessage: each})
    assert replies == [str(GO_AHEAD), NO, OK, str(DEFERRED), OK]


def test_a_refused_data_is_answered_once():
    replies, _ = talk(THREE + b"DATA\r\nDATA\r\n", {e.Data: DENIED})
    assert replies == [NO, MAIL_FIRST]


@pytest.mark.parametrize("split", SPLITS)
def test_a_refused_chunk_is_answered_once_and_the_last_for_each_recipient(split):
    last = THREE + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
    assert talk(last, {e.Bdat: DENIED}, split)[0] == [NO, NO, NO, OK]
    several = THREE + b"BDAT 6\r\nQUIT\r\nBDAT 2\r\nx\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
    assert talk(several, {e.Bdat: DENIED}, split)[0] == [NO, SPOILED, *[SPOILED] * 3, OK]


def test_a_connection_refused_at_the_last_chunk_is_answered_for_each_recipient():
    closing = Reply(421, "away", "4.3.2", close=True)
    replies, played = talk(THREE + b"BDAT 6 LAST\r\nQUIT\r\n", {e.Bdat: closing})
    assert replies == ["421 4.3.2 away"] * 3
    assert played.closed


@pytest.mark.parametrize("split", SPLITS)
def test_a_content_fault_is_answered_for_each_recipient(split):
    small = WireLimits(message_size=4)
    big = "552 5.3.4 Message size exceeds the limit"
    replies, _ = talk(THREE + b"DATA\r\n12345\r\n.\r\nNOOP\r\n", split=split, limits=small)
    assert replies == [str(GO_AHEAD), big, big, big, OK]
    replies, _ = talk(THREE + b"BDAT 5\r\n12345BDAT 1 LAST\r\nxNOOP\r\n", split=split, limits=small)
    assert replies == [big, *[SPOILED] * 3, OK]
    replies, _ = talk(THREE + b"BDAT 3 LAST\r\na\nbNOOP\r\n", split=split)
    assert replies == ["550 5.6.0 Message contains a bare CR, bare LF or NUL"] * 3


def test_the_last_chunk_without_recipients_is_answered_once():
    none = b"MAIL FROM:<a@b>\r\nBDAT 1 LAST\r\nxBDAT 1 LAST\r\nxNOOP\r\n"
    assert after_lhlo(none) == [OK, "503 5.5.1 No valid recipients", MAIL_FIRST, OK]


@pytest.mark.parametrize("between", [b"RSET\r\n", LHLO, b"DATA\r\n.\r\n", b"BDAT 0 LAST\r\n"])
def test_only_recipients_of_the_current_transaction_count(between):
    one = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nNOOP\r\n"
    replies, _ = talk(THREE + between + one)
    assert replies[-5:] == [OK, OK, str(GO_AHEAD), OK, OK]


def test_a_new_transaction_may_follow_a_failed_one():
    again = b"MAIL FROM:<a@b>\r\nBDAT 1 LAST\r\nxNOOP\r\n"
    replies, _ = talk(THREE + b"BDAT 1\r\nx" + again, {e.Bdat: DENIED})
    assert replies == [NO, OK, "503 5.5.1 No valid recipients", OK]


LINES = st.lists(
    st.sampled_from(
        [
            LHLO,
            b"MAIL FROM:<a@b>\r\n",
            b"RCPT TO:<c@d>\r\n",
            b"RCPT TO:<no@d>\r\n",
            b"DATA\r\nx\r\n.\r\n",
            b"BDAT 1\r\nx",
            b"BDAT 1 LAST\r\nx",
            b"RSET\r\n",
            b"EHLO x\r\n",
        ]
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(SPLITS), st.booleans())
def test_the_number_of_replies_is_what_the_client_expects(lines, split, refuses):
    """The client counts accepted recipients; a marker after every line shows errors."""

    def answer(event):
        if refuses and type(event) is e.Bdat:
            return DENIED
        if type(event) is e.Rcpt and event.path.local == "no":
            return DENIED
        return Reply(250, "marker") if type(event) is e.Noop else but({})(event)

    accepted = 0
    data = b"".join(line + b"NOOP\r\n" for line in lines)
    output = iter(play(data, split, answer, make=LmtpServer).replies)
    for line in lines:
        replies = list(iter(lambda: next(output), "250 marker"))
        if line.startswith(b"DATA") and replies[0] != str(GO_AHEAD):
            return  # the intended content was read as commands
        if line.startswith(b"DATA"):
            assert replies[1:] == [OK] * accepted
        elif line.startswith(b"BDAT 1 LAST"):
            assert len(replies) == max(1, accepted)
        else:
            assert len(replies) == 1
        if line.startswith((b"DATA", b"BDAT 1 LAST", b"RSET", LHLO)):
            accepted = 0
        elif line.startswith((b"MAIL", b"RCPT")) and replies == [OK]:
            accepted = accepted + 1 if line.startswith(b"RCPT") else 0
