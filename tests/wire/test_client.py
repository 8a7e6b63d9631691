"""The client's side: against our own server, and against one that does not play by the rules."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.wire.driver import DEFERRED, DENIED, SPLITS, but, bytewise, usual, whole
from tests.wire.pair import KEYWORDS, Pair

from gatepost.model.address import NULL_PATH, Address
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import NEED_DATA, ProtocolError, State
from gatepost.wire.smtp.client import Answer, LmtpClient, SmtpClient
from gatepost.wire.smtp.content_writer import ImpureError
from gatepost.wire.smtp.reply_reader import PeerError

HELLO = e.Ehlo("client.example")
MAIL = e.Mail(Address("a", "b.example"), {})
RCPT = e.Rcpt(Address("c", "d.example"), {})
OTHER = e.Rcpt(Address("e", "d.example"), {})
DATA, RSET, QUIT, END = e.Data(), e.Rset(), e.Quit(), e.EndOfMessage()
SPOKEN = Reply(250, KEYWORDS)
PROTOCOLS = ["smtp", "lmtp"]


def polite(event):
    return SPOKEN if type(event) is e.Ehlo else usual(event)


def codes(answers):
    return [answer.reply.code for answer in answers]


def chunk(content):
    return e.Bdat(len(content), last=True, first=True)


# With our own server


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_message(protocol, split):
    pair = Pair(protocol, polite, split)
    assert codes(pair.answers) == [220]
    assert codes(pair.say(HELLO)) == [250]
    assert pair.client.extensions == {
        "PIPELINING": "",
        "SIZE": "1000",
        "8BITMIME": "",
        "SMTPUTF8": "",
        "CHUNKING": "",
    }
    assert codes(pair.say(MAIL, RCPT, DATA)) == [250, 250, 354]
    assert pair.say(e.Content(b".Hello\r"), e.Content(b"\n")) == []
    assert codes(pair.say(END)) == [250]
    assert pair.content == b".Hello\r\n"
    pair.agree()
    assert codes(pair.say(MAIL, RSET, MAIL, RCPT)) == [250] * 4
    pair.agree()
    assert codes(pair.say(chunk(b"x"), e.Content(b"x"), END)) == [250]
    assert pair.content == b".Hello\r\nx"
    pair.agree()
    assert codes(pair.say(QUIT)) == [221]


@pytest.mark.parametrize("split", [whole, bytewise])
def test_lmtp_answers_for_each_recipient(split):
    two = RecipientReplies([Reply(250, "ok", "2.0.0"), DENIED])
    pair = Pair(
        "lmtp", lambda event: two if type(event) is e.EndOfMessage else polite(event), split
    )
    pair.say(HELLO)
    assert codes(pair.say(MAIL, RCPT, OTHER, DATA)) == [250, 250, 250, 354]
    assert codes(pair.say(e.Content(b"x"), END)) == [250, 550]
    assert codes(pair.say(MAIL, RCPT, OTHER)) == [250] * 3
    assert codes(pair.say(chunk(b"x"), e.Content(b"x"), END)) == [250, 550]
    pair.agree()


def test_a_refused_chunk_has_an_answer_for_each_recipient():
    pair = Pair("lmtp", lambda event: but({e.Bdat: DENIED})(event) if event != HELLO else SPOKEN)
    pair.say(HELLO)
    pair.say(MAIL, RCPT, OTHER)
    assert codes(pair.say(chunk(b"x"), e.Content(b"x"), END)) == [550, 550]
    pair.agree()


@pytest.mark.parametrize("refused", [e.Mail, e.Rcpt, e.Data, e.Bdat, e.EndOfMessage, e.Rset])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refusals(protocol, refused):
    pair = Pair(protocol, lambda event: DEFERRED if type(event) is refused else polite(event))
    pair.say(HELLO)
    answers = pair.say(MAIL, RCPT, DATA)
    if codes(answers)[-1] == 354:
        answers = pair.say(e.Content(b"x"), END)
    pair.say(MAIL, RCPT)
    if pair.client.state is State.RCPT:
        pair.say(chunk(b"x"), e.Content(b"x"), END)
    pair.agree()
    pair.say(RSET)
    pair.agree()


def test_tls_begins_anew():
    pair = Pair(answer=polite)
    pair.say(HELLO)
    assert codes(pair.say(e.StartTls())) == [250]
    pair.client.start_tls()
    pair.server.start_tls()
    assert pair.client.extensions == {}
    pair.agree()
    assert codes(pair.say(HELLO)) == [250]
    assert "SIZE" in pair.client.extensions


def test_login():
    heard = Heard((e.Auth("LOGIN", None), b"334 VXNlcm5hbWU6\r\n"), (e.AuthResponse(b"u"), OK))
    assert codes(heard.answers)[-2:] == [334, 250]
    with pytest.raises(PeerError, match="Mail answered with 334"):
        Heard((e.Auth("PLAIN", b"x"), b"535 5.7.8 no\r\n"), (MAIL, b"334 \r\n"))


def test_xclient_begins_anew():
    pair = Pair(answer=polite)
    pair.say(HELLO)
    assert codes(pair.say(e.Xclient({"ADDR": "192.0.2.1"}))) == [250]
    assert pair.events[-1] == e.Xclient({"ADDR": "192.0.2.1"})
    assert pair.client.extensions == {}
    pair.agree()


def test_helo_brings_no_extensions():
    pair = Pair(answer=polite)
    pair.say(e.Helo("x"))
    assert pair.client.extensions == {}
    pair.agree()


COMMANDS = st.sampled_from([MAIL, RCPT, OTHER, DATA, RSET, e.Noop(), HELLO])
CONTENT = st.lists(st.sampled_from([b"x", b".", b"\r\n", b"\r\n.\r\n"]), max_size=5).map(b"".join)
REPLIES = st.lists(st.sampled_from([None] * 3 + [DEFERRED, DENIED]), max_size=12)


@given(st.sampled_from(PROTOCOLS), st.lists(COMMANDS, max_size=20), CONTENT, REPLIES)
@example("lmtp", [MAIL, RCPT, MAIL], b"", [])  # a MAIL that is refused changes nothing
def test_both_sides_agree_whatever_is_said(protocol, commands, content, replies):
    turns = iter(replies * 20)

    def answer(event):
        refusal = next(turns, None) if type(event) not in (e.Ehlo, e.Fault) else None
        return refusal or polite(event)

    pair = Pair(protocol, answer, bytewise)
    pair.say(HELLO)
    for command in commands:
        (last, *_) = pair.say(command)[-1:]
        if last.reply.code == 354:
            pair.say(e.Content(content), END)
        pair.agree()
    if pair.client.state is State.RCPT:
        pair.say(chunk(content), e.Content(content), END)
        pair.agree()


# With a next hop that says what it likes


class Heard:
    """A client and what it heard from a next hop that is only bytes."""

    def __init__(self, *said, client=SmtpClient):
        self.client = client()
        self.answers = []
        self.hear(b"220 hi\r\n")
        if said:
            self.client.send(HELLO)
            self.hear(b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
        for command, reply in said:
            self.client.send(command)
            self.hear(reply)

    def hear(self, data):
        self.client.receive_data(data)
        while (answer := self.client.next_event()) is not NEED_DATA:
            self.answers.append(answer)


OK = b"250 ok\r\n"
READY = [(MAIL, OK), (RCPT, OK)]
IN_DATA = [*READY, (DATA, b"354 go\r\n")]

LIES = [
    ([(MAIL, b"354 go\r\n")], "Mail answered with 354"),
    ([(RSET, b"220 x\r\n334 y\r\n")], "unexpected reply: 334"),
    ([(MAIL, OK + OK)], "unexpected reply: 250"),
    ([(MAIL, b"ok\r\n")], "expected a reply code and text, found 'ok'"),
    ([(MAIL, b"550 no\r\n"), (RCPT, OK)], "Rcpt accepted out of order"),
    ([(MAIL, OK), (RCPT, b"550 no\r\n"), (DATA, b"354 go\r\n")], "Data accepted out of order"),
    ([*READY, (DATA, OK)], "Data answered with 250"),
    ([*READY, (DATA, b"334 \r\n")], "Data answered with 334"),
    ([*READY, (chunk(b"xx"), OK)], "chunk accepted before it was sent"),
    ([*READY, (chunk(b"xx"), b"354 go\r\n")], "Bdat answered with 354"),
    ([*IN_DATA, (e.Content(b"x"), OK)], "unexpected reply: 250"),
    ([*IN_DATA, (END, b"354 more\r\n")], "EndOfMessage answered with 354"),
    ([*IN_DATA, (END, OK + OK)], "unexpected reply: 250"),
    ([(e.StartTls(), b"220 go\r\n250 x")], "cleartext behind the reply to STARTTLS"),
    ([(e.StartTls(), b"220 go\r\n250 x\r\n")], "cleartext behind"),
]


@pytest.mark.parametrize(("said", "error"), LIES, ids=lambda value: str(value)[-60:])
def test_lies(said, error):
    *before, (command, reply) = said
    heard = Heard(*before) if before else Heard((e.Noop(), OK))
    heard.client.send(command)
    with pytest.raises(PeerError, match=error):
        heard.hear(reply)
    assert heard.client.broken
    with pytest.raises(ProtocolError, match="can only be closed"):
        heard.client.send(RSET)


def test_a_reply_that_was_there_before_the_command():
    heard = Heard((e.Noop(), OK))
    heard.client.receive_data(b"250 early\r\n")
    with pytest.raises(PeerError, match="unexpected reply"):
        heard.client.send(MAIL)
    assert heard.client.broken


def test_a_chunk_is_accepted_once_it_is_out_though_its_end_is_not_said_yet():
    heard = Heard(*READY)
    heard.client.send(chunk(b"x"))
    heard.client.send(e.Content(b"x"))
    heard.hear(OK)
    assert heard.client.send(END) == b""
    assert not heard.client.broken


@pytest.mark.parametrize("refusal", [b"552 5.3.4 too big\r\n", b"451 no\r\n", b"421 bye\r\n"])
def test_a_refusal_in_the_middle_of_the_content(refusal):
    heard = Heard(*IN_DATA)
    heard.client.send(e.Content(b"x"))
    heard.hear(refusal)
    assert heard.answers[-1].to == END
    assert heard.client.broken
    in_chunk = Heard(*READY)
    in_chunk.client.send(chunk(b"xx"))
    in_chunk.hear(refusal)
    assert in_chunk.answers[-1].to == chunk(b"xx")
    assert in_chunk.client.broken


def test_shutting_down():
    heard = Heard((MAIL, b"421 bye\r\n"))
    assert heard.answers[-1] == Answer(MAIL, Reply(421, "bye"))
    assert heard.client.broken
    idle = Heard((e.Noop(), OK))
    idle.hear(b"421 idle for too long\r\n")
    assert idle.answers[-1] == Answer(None, Reply(421, "idle for too long"))
    assert idle.client.broken


def test_no_lmtp_recipient_is_left_without_an_answer():
    heard = Heard(*READY, (OTHER, OK), (DATA, b"354 go\r\n"), client=LmtpClient)
    assert heard.client.send(END) == b".\r\n"
    assert heard.client.owed == 2
    heard.hear(OK)
    assert heard.client.owed == 1


ODD_KEYWORDS = {
    b"250 mx\r\n": {},
    b"250-mx\r\n250 size 10 \r\n": {"SIZE": "10"},
    b"250-mx\r\n250-AUTH=LOGIN\r\n250-\r\n250 AUTH PLAIN LOGIN\r\n": {"AUTH": "PLAIN LOGIN"},
    b"250-SIZE\r\n250-\xfc\r\n250-X\ty\r\n250 -\r\n": {},
    b"250-mx\r\n250-SIZE 1\r\n250 SIZE 2\r\n": {"SIZE": "2"},
}


@pytest.mark.parametrize("said", ODD_KEYWORDS)
def test_keywords(said):
    heard = Heard()
    heard.client.send(HELLO)
    heard.hear(said)
    assert heard.client.extensions == ODD_KEYWORDS[said]


# The caller's part of the contract


def test_one_at_a_time_without_pipelining():
    heard = Heard()
    heard.client.send(HELLO)
    heard.hear(b"250 mx\r\n")
    heard.client.send(MAIL)
    with pytest.raises(ProtocolError, match="not answered yet"):
        heard.client.send(RCPT)


@pytest.mark.parametrize("last", [HELLO, e.Helo("x"), e.Noop(), QUIT, e.StartTls()], ids=repr)
def test_what_must_be_last_in_a_group(last):
    heard = Heard((RSET, OK))
    heard.client.send(RSET)
    heard.client.send(last)
    with pytest.raises(ProtocolError, match="not answered yet"):
        heard.client.send(RSET)


def test_nothing_is_sent_before_the_greeting():
    with pytest.raises(ProtocolError, match="not answered yet"):
        SmtpClient().send(HELLO)


MISUSE = [
    ([(MAIL, OK)], e.Content(b"x")),
    ([(MAIL, OK)], END),
    ([(MAIL, OK)], chunk(b"x")),
    (READY, e.Bdat(1, last=False, first=True)),
    (IN_DATA, RSET),
    ([*IN_DATA, (END, OK)], END),
]


@pytest.mark.parametrize(("said", "command"), MISUSE, ids=repr)
def test_misuse(said, command):
    heard = Heard(*said)
    with pytest.raises(ProtocolError):
        heard.client.send(command)


@pytest.mark.parametrize("content", [b"x", b"xyz"])
def test_a_chunk_of_another_size(content):
    heard = Heard(*READY)
    heard.client.send(chunk(b"xy"))
    with pytest.raises(ProtocolError):
        heard.client.send(e.Content(content)) + heard.client.send(END)
    assert heard.client.broken


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"\0", b"a\r"])
@pytest.mark.parametrize("begun", [IN_DATA, [*READY, (chunk(b"12345678"), b"")]], ids=len)
def test_impure_content_breaks_the_connection(begun, content):
    heard = Heard(*begun)
    with pytest.raises(ImpureError):
        heard.client.send(e.Content(content)) + heard.client.send(END)
    assert heard.client.broken


def test_the_null_reverse_path():
    assert Heard((RSET, OK)).client.send(e.Mail(NULL_PATH, {})) == b"MAIL FROM:<>\r\n"


# Whatever is said


SAID = st.lists(
    st.sampled_from(
        [
            *(b"220 a\r\n", OK, b"250-x\r\n", b"354 go\r\n", b"550 5.1.1 no\r\n"),
            *(b"421 bye\r\n", b"\r\n", b"\n", b"250", b"x", b"\xff"),
        ]
    ),
    max_size=12,
)
SENT = st.lists(
    st.sampled_from(
        [HELLO, MAIL, RCPT, DATA, RSET, END, e.StartTls(), chunk(b"x"), e.Content(b"x")]
    ),
    max_size=12,
)


@given(st.sampled_from([SmtpClient, LmtpClient]), SENT, SAID)
def test_any_conversation_ends_in_answers_or_the_documented_errors(make, sent, said):
    client = make()
    for command, data in zip(sent, said, strict=False):
        try:
            client.receive_data(data)
            while client.next_event() is not NEED_DATA:
                pass
            client.send(command)
        except PeerError:
            assert client.broken
            return
        except ProtocolError:
            pass
