import pytest
from tests.wire.driver import DEFERRED, DENIED, HELLO, MAIL, RCPT, SPLITS, but, play

from gatepost.wire import events as e
from gatepost.wire.smtp import State
from gatepost.wire.smtp.commands import (
    AFTER_REFUSED_BDAT,
    COMMANDS,
    JUNK,
    OFFERED_COMMANDS,
    TRANSITIONS,
)
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS

START, READY, IN_MAIL, IN_RCPT, CHUNKING, SPOILED = State

CHUNK = b"BDAT 1\r\nx"
REACH = {
    START: b"",
    READY: HELLO,
    IN_MAIL: MAIL,
    IN_RCPT: RCPT,
    CHUNKING: RCPT + CHUNK,
    SPOILED: RCPT + b"BDAT 0\r\n",
}
LINES = {
    "EHLO": b"EHLO client.example\r\n",
    "HELO": b"HELO client.example\r\n",
    "MAIL": b"MAIL FROM:<a@client.example>\r\n",
    "RCPT": b"RCPT TO:<b@gate.example>\r\n",
    "DATA": b"DATA\r\n",
    "BDAT": b"BDAT 6\r\nQUIT\r\n",
    "BDAT LAST": b"BDAT 6 LAST\r\nQUIT\r\n",
    "RSET": b"RSET\r\n",
    "NOOP": b"NOOP\r\n",
    "VRFY": b"VRFY b\r\n",
    "EXPN": b"EXPN list\r\n",
    "HELP": b"HELP\r\n",
    "QUIT": b"QUIT\r\n",
    "XCLIENT": b"XCLIENT ADDR=192.0.2.9\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "AUTH": b"AUTH PLAIN\r\n",
}
HELLO_FIRST = "503 5.5.1 Bad sequence of commands: EHLO or HELO first"
MAIL_FIRST = "503 5.5.1 Bad sequence of commands: MAIL first"
NESTED = "503 5.5.1 Bad sequence of commands: a transaction is already open"
NO_RECIPIENTS = "554 5.5.1 No valid recipients"
BDAT_OR_RSET = "503 5.5.1 Bad sequence of commands: expected BDAT or RSET"
FAILED = "503 5.5.1 Bad sequence of commands: the transaction has failed"
SAME = list(State)
# A reply refuses the command and keeps the state, except for BDAT (see AFTER).
EXPECTED = {
    "EHLO": [READY] * 6,
    "HELO": [READY] * 6,
    "MAIL": [HELLO_FIRST, IN_MAIL, NESTED, NESTED, BDAT_OR_RSET, IN_MAIL],
    "RCPT": [HELLO_FIRST, MAIL_FIRST, IN_RCPT, IN_RCPT, BDAT_OR_RSET, FAILED],
    "DATA": [HELLO_FIRST, MAIL_FIRST, NO_RECIPIENTS, READY, BDAT_OR_RSET, FAILED],
    "BDAT": [HELLO_FIRST, MAIL_FIRST, NO_RECIPIENTS, CHUNKING, CHUNKING, FAILED],
    "BDAT LAST": [HELLO_FIRST, MAIL_FIRST, NO_RECIPIENTS, READY, READY, FAILED],
    "RSET": [START, *[READY] * 5],
    "NOOP": SAME,
    "VRFY": SAME,
    "EXPN": SAME,
    "HELP": SAME,
    "QUIT": SAME,
    "XCLIENT": [START, START, NESTED, NESTED, BDAT_OR_RSET, FAILED],
    "STARTTLS": [HELLO_FIRST, START, NESTED, NESTED, BDAT_OR_RSET, FAILED],
    "AUTH": [HELLO_FIRST, READY, NESTED, NESTED, BDAT_OR_RSET, FAILED],
}
AFTER = {
    "BDAT": [START, READY, SPOILED, SPOILED, SPOILED, SPOILED],
    "BDAT LAST": [START, READY, READY, READY, READY, READY],
}
ACCEPTED = {"DATA": "354 go ahead", "QUIT": "221 2.0.0 bye"}
EVENTS = {
    "EHLO": e.Ehlo,
    "HELO": e.Helo,
    "MAIL": e.Mail,
    "RCPT": e.Rcpt,
    "DATA": e.Data,
    "BDAT": e.Bdat,
    "BDAT LAST": e.Bdat,
    "RSET": e.Rset,
    "NOOP": e.Noop,
    "VRFY": e.Vrfy,
    "EXPN": e.Expn,
    "HELP": e.Help,
    "QUIT": e.Quit,
    "XCLIENT": e.Xclient,
    "STARTTLS": e.StartTls,
    "AUTH": e.Auth,
}
ALL = EXTENSIONS | set(OFFERED_COMMANDS)
PAIRS = [(verb, state) for verb in LINES for state in State]


def replies_in_state(state, verb, split, answer=None, after=b""):
    """Return the play, and the replies that follow those of reaching the state."""
    reached = play(REACH[state], split)
    assert reached.state is state
    assert not reached.closed
    options = {"extensions": ALL} | ({"answer": answer} if answer else {})
    played = play(REACH[state] + LINES[verb] + after, split, **options)
    return played, played.replies[len(reached.replies) :]


def test_every_verb_of_the_table_is_covered():
    verbs = {verb.split()[0] for verb in LINES}
    assert verbs == set(COMMANDS) | set(OFFERED_COMMANDS) == set(TRANSITIONS)
    assert all(len(row) == len(State) for row in TRANSITIONS.values())
    assert len(AFTER_REFUSED_BDAT) == len(State)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("verb", "state"), PAIRS)
def test_a_command_is_accepted_or_out_of_order(verb, state, split):
    expected = EXPECTED[verb][state]
    played, replies = replies_in_state(state, verb, split)
    if isinstance(expected, State):
        assert replies == [ACCEPTED.get(verb, "250 2.0.0 ok")]
        assert played.state is expected
        assert played.of(EVENTS[verb])
    else:
        assert replies == [expected]
        assert played.state is AFTER.get(verb, SAME)[state]


@pytest.mark.parametrize("refusal", [DEFERRED, DENIED])
@pytest.mark.parametrize(
    ("verb", "state"), [pair for pair in PAIRS if isinstance(EXPECTED[pair[0]][pair[1]], State)]
)
def test_a_refused_command_leaves_the_state(verb, state, refusal):
    bdat = verb.startswith("BDAT")
    played, replies = replies_in_state(
        state, verb, SPLITS[0], refusing_last(EVENTS[verb], refusal, state, verb)
    )
    after = AFTER[verb][state] if bdat else READY if verb == "DATA" else state
    assert replies == [str(refusal)]
    assert played.state is after
    assert not played.closed


def refusing_last(kind, refusal, state, verb):
    """Return an answerer that refuses the last command of that kind."""
    position = len(play(REACH[state] + LINES[verb], extensions=ALL).of(kind))
    usual = but({})
    seen = 0

    def answer(event):
        nonlocal seen
        seen += type(event) is kind
        return refusal if type(event) is kind and seen == position else usual(event)

    return answer


@pytest.mark.parametrize("verb", ["BDAT", "BDAT LAST"])
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("answer", [but({}), but({e.Bdat: DENIED})])
def test_a_chunk_is_never_taken_for_commands(verb, state, answer):
    played, replies = replies_in_state(state, verb, SPLITS[0], answer, after=b"NOOP\r\n")
    assert played.of(e.Quit) == []
    assert len(played.of(e.Noop)) == 1
    assert replies[-1] == "250 2.0.0 ok"


@pytest.mark.parametrize("split", SPLITS)
def test_a_refused_chunk_ends_the_transaction(split):
    dialogue = (
        RCPT + b"BDAT 6\r\nQUIT\r\nRCPT TO:<c@d>\r\nDATA\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\n"
    )
    played = play(dialogue + b"QUIT\r\nDATA\r\n", split, but({e.Bdat: DENIED}))
    assert played.replies[3:] == ["550 5.7.1 no", FAILED, FAILED, FAILED, FAILED, MAIL_FIRST]
    assert len(played.of(e.Bdat)) == 1
    assert played.of(e.Content) == []


def test_two_messages_in_chunks_are_accepted():
    message = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nab\rBDAT 1 LAST\r\n\n"
    played = play(HELLO + message + message)
    assert played.replies == ["250 2.0.0 ok"] * 9
    assert [event.first for event in played.of(e.Bdat)] == [True, False, True, False]
    assert played.state is READY


@pytest.mark.parametrize("ending", [b"DATA\r\nx\r\n.\r\n", b"BDAT 1 LAST\r\nx"])
@pytest.mark.parametrize("answer", [DEFERRED, DENIED])
def test_a_refused_message_ends_the_transaction(ending, answer):
    played = play(
        RCPT + ending + b"RCPT TO:<c@d>\r\nDATA\r\n", answer=but({e.EndOfMessage: answer})
    )
    assert played.replies[-3:] == [str(answer), MAIL_FIRST, MAIL_FIRST]


def test_a_nested_mail_changes_nothing():
    dialogue = HELLO + "MAIL FROM:<ä@b> SMTPUTF8\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ö@d>\r\n".encode()
    assert play(dialogue).replies[1:] == ["250 2.0.0 ok", NESTED, "250 2.0.0 ok"]
    dialogue = HELLO + "MAIL FROM:<a@b>\r\nMAIL FROM:<ä@b> SMTPUTF8\r\nRCPT TO:<ö@d>\r\n".encode()
    assert play(dialogue).replies[2:] == [
        NESTED,
        "553 5.6.7 Non-ASCII address needs the SMTPUTF8 parameter",
    ]


def test_vrfy_in_utf8_leaves_the_transaction_open():
    played = play(RCPT + "VRFY jürgen\r\nDATA\r\n".encode())
    assert played.replies[3:] == ["250 2.0.0 ok", "354 go ahead"]


def test_quit_may_follow_the_message_in_a_pipeline():
    played = play(RCPT + b"DATA\r\nx\r\n.\r\nQUIT\r\nNOOP\r\n")
    assert played.replies[3:] == ["354 go ahead", "250 2.0.0 ok", "221 2.0.0 bye"]
    assert played.closed
    assert played.of(e.Noop) == []


def test_junk_commands_deliver_no_mail():
    assert {event.__name__ for event in JUNK} == {
        "Ehlo", "Helo", "Rset", "Noop", "Vrfy", "Expn", "Help", "Unknown", "Xclient", "IdleAdded",
    }  # fmt: skip
