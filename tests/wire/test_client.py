"""The sending side, against our own server and against one that breaks the rules."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.wire.driver import DEFERRED, DENIED, SPLITS, but, bytewise, usual, whole
from tests.wire.pair import KEYWORDS, Pair

from gatepost.model.address import NULL_PATH, Address
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import NEED_DATA, ProtocolError, State
from gatepost.wire.smtp.sending.client import CommandReply, LmtpClient, SmtpClient
from gatepost.wire.smtp.sending.content_writer import ImpureError
from gatepost.wire.smtp.sending.reply_reader import PeerError

HELLO = e.Ehlo("client.example")
MAIL = e.Mail(Address("a", "b.example"), {})
RCPT = e.Rcpt(Address("c", "d.example"), {})
OTHER = e.Rcpt(Address("e", "d.example"), {})
DATA, RSET, QUIT, END = e.Data(), e.Rset(), e.Quit(), e.EndOfMessage()
EHLO_REPLY = Reply(250, KEYWORDS)
PROTOCOLS = ["smtp", "lmtp"]


def accept(event):
    return EHLO_REPLY if type(event) is e.Ehlo else usual(event)


def codes(answers):
    return [answer.reply.code for answer in answers]


def chunk(content):
    return e.Bdat(len(content), last=True, first=True)


# With our own server


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_message_is_delivered(protocol, split):
    pair = Pair(protocol, accept, split)
    assert codes(pair.answers) == [220]
    assert codes(pair.send(HELLO)) == [250]
    assert pair.client.extensions == {
        "PIPELINING": "",
        "SIZE": "1000",
        "8BITMIME": "",
        "SMTPUTF8": "",
        "CHUNKING": "",
    }
    assert codes(pair.send(MAIL, RCPT, DATA)) == [250, 250, 354]
    assert pair.client.sending
    assert pair.send(e.Content(b".Hello\r"), e.Content(b"\n")) == []
    assert codes(pair.send(END)) == [250]
    assert pair.content == b".Hello\r\n"
    pair.assert_agreement()
    assert codes(pair.send(MAIL, RSET, MAIL, RCPT)) == [250] * 4
    pair.assert_agreement()
    assert codes(pair.send(chunk(b"x"), e.Content(b"x"), END)) == [250]
    assert pair.content == b".Hello\r\nx"
    pair.assert_agreement()
    assert codes(pair.send(QUIT)) == [221]


@pytest.mark.parametrize("split", [whole, bytewise])
def test_lmtp_answers_for_each_recipient(split):
    two = RecipientReplies([Reply(250, "ok", "2.0.0"), DENIED])
    pair = Pair(
        "lmtp", lambda event: two if type(event) is e.EndOfMessage else accept(event), split
    )
    pair.send(HELLO)
    assert codes(pair.send(MAIL, RCPT, OTHER, DATA)) == [250, 250, 250, 354]
    assert codes(pair.send(e.Content(b"x"), END)) == [250, 550]
    assert codes(pair.send(MAIL, RCPT, OTHER)) == [250] * 3
    assert codes(pair.send(chunk(b"x"), e.Content(b"x"), END)) == [250, 550]
    pair.assert_agreement()


def test_a_refused_chunk_has_an_answer_for_each_recipient():
    pair = Pair(
        "lmtp", lambda event: but({e.Bdat: DENIED})(event) if event != HELLO else EHLO_REPLY
    )
    pair.send(HELLO)
    pair.send(MAIL, RCPT, OTHER)
    assert codes(pair.send(chunk(b"x"), e.Content(b"x"), END)) == [550, 550]
    pair.assert_agreement()


@pytest.mark.parametrize("refused", [e.Mail, e.Rcpt, e.Data, e.Bdat, e.EndOfMessage, e.Rset])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_both_sides_agree_after_a_refusal(protocol, refused):
    pair = Pair(protocol, lambda event: DEFERRED if type(event) is refused else accept(event))
    pair.send(HELLO)
    answers = pair.send(MAIL, RCPT, DATA)
    if codes(answers)[-1] == 354:
        answers = pair.send(e.Content(b"x"), END)
    pair.send(MAIL, RCPT)
    if pair.client.state is State.RCPT:
        pair.send(chunk(b"x"), e.Content(b"x"), END)
    pair.assert_agreement()
    pair.send(RSET)
    pair.assert_agreement()


def test_starttls_resets_the_client():
    pair = Pair(answer=accept)
    pair.send(HELLO)
    assert codes(pair.send(e.StartTls())) == [250]
    pair.client.start_tls()
    pair.server.start_tls()
    assert pair.client.extensions == {}
    pair.assert_agreement()
    assert codes(pair.send(HELLO)) == [250]
    assert "SIZE" in pair.client.extensions


def test_auth_may_take_several_responses():
    talk = Conversation(
        (e.Auth("LOGIN", None), b"334 VXNlcm5hbWU6\r\n"), (e.AuthResponse(b"u"), OK)
    )
    assert codes(talk.answers)[-2:] == [334, 250]
    with pytest.raises(PeerError, match="Mail answered with 334"):
        Conversation((e.Auth("PLAIN", b"x"), b"535 5.7.8 no\r\n"), (MAIL, b"334 \r\n"))


def test_xclient_resets_the_client():
    pair = Pair(answer=accept)
    pair.send(HELLO)
    assert codes(pair.send(e.Xclient({"ADDR": "192.0.2.1"}))) == [250]
    assert pair.events[-1] == e.Xclient({"ADDR": "192.0.2.1"})
    assert pair.client.extensions == {}
    pair.assert_agreement()


def test_helo_has_no_extensions():
    pair = Pair(answer=accept)
    pair.send(e.Helo("x"))
    assert pair.client.extensions == {}
    pair.assert_agreement()


COMMANDS = st.sampled_from([MAIL, RCPT, OTHER, DATA, RSET, e.Noop(), HELLO])
CONTENT = st.lists(st.sampled_from([b"x", b".", b"\r\n", b"\r\n.\r\n"]), max_size=5).map(b"".join)
REPVIOLATIONS = st.lists(st.sampled_from([None] * 3 + [DEFERRED, DENIED]), max_size=12)


@given(st.sampled_from(PROTOCOLS), st.lists(COMMANDS, max_size=20), CONTENT, REPVIOLATIONS)
@example("lmtp", [MAIL, RCPT, MAIL], b"", [])  # a refused MAIL changes nothing
def test_both_sides_agree_after_any_commands(protocol, commands, content, replies):
    turns = iter(replies * 20)

    def answer(event):
        refusal = next(turns, None) if type(event) not in (e.Ehlo, e.Fault) else None
        return refusal or accept(event)

    pair = Pair(protocol, answer, bytewise)
    pair.send(HELLO)
    for command in commands:
        (last, *_) = pair.send(command)[-1:]
        if last.reply.code == 354:
            pair.send(e.Content(content), END)
        pair.assert_agreement()
    if pair.client.state is State.RCPT:
        pair.send(chunk(content), e.Content(content), END)
        pair.assert_agreement()


# With a next hop that sends anything


class Conversation:
    """A client, and the answers it received from a next hop that is only bytes."""

    def __init__(self, *dialogue, client=SmtpClient):
        self.client = client()
        self.answers = []
        self.receive(b"220 hi\r\n")
        if dialogue:
            self.client.send(HELLO)
            self.receive(b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
        for command, reply in dialogue:
            self.client.send(command)
            self.receive(reply)

    def receive(self, data):
        self.client.receive_data(data)
        while (answer := self.client.next_event()) is not NEED_DATA:
            self.answers.append(answer)


OK = b"250 ok\r\n"
READY = [(MAIL, OK), (RCPT, OK)]
IN_DATA = [*READY, (DATA, b"354 go\r\n")]

VIOLATIONS = [
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


@pytest.mark.parametrize(("dialogue", "error"), VIOLATIONS, ids=lambda value: str(value)[-60:])
def test_a_protocol_violation_breaks_the_client(dialogue, error):
    *before, (command, reply) = dialogue
    talk = Conversation(*before) if before else Conversation((e.Noop(), OK))
    talk.client.send(command)
    with pytest.raises(PeerError, match=error):
        talk.receive(reply)
    assert talk.client.broken
    with pytest.raises(ProtocolError, match="can only be closed"):
        talk.client.send(RSET)


def test_a_reply_before_its_command_breaks_the_client():
    talk = Conversation((e.Noop(), OK))
    talk.client.receive_data(b"250 early\r\n")
    with pytest.raises(PeerError, match="unexpected reply"):
        talk.client.send(MAIL)
    assert talk.client.broken


def test_a_chunk_may_be_accepted_before_end_of_message():
    talk = Conversation(*READY)
    talk.client.send(chunk(b"x"))
    talk.client.send(e.Content(b"x"))
    talk.receive(OK)
    assert talk.client.send(END) == b""
    assert not talk.client.broken


@pytest.mark.parametrize("refusal", [b"552 5.3.4 too big\r\n", b"451 no\r\n", b"421 bye\r\n"])
def test_a_refusal_in_the_middle_of_the_content_breaks_the_client(refusal):
    talk = Conversation(*IN_DATA)
    talk.client.send(e.Content(b"x"))
    talk.receive(refusal)
    assert talk.answers[-1].to == END
    assert talk.client.broken
    in_chunk = Conversation(*READY)
    in_chunk.client.send(chunk(b"xx"))
    in_chunk.receive(refusal)
    assert in_chunk.answers[-1].to == chunk(b"xx")
    assert in_chunk.client.broken


def test_421_breaks_the_client():
    talk = Conversation((MAIL, b"421 bye\r\n"))
    assert talk.answers[-1] == CommandReply(MAIL, Reply(421, "bye"))
    assert talk.client.broken
    idle = Conversation((e.Noop(), OK))
    idle.receive(b"421 idle for too long\r\n")
    assert idle.answers[-1] == CommandReply(None, Reply(421, "idle for too long"))
    assert idle.client.broken


def test_lmtp_waits_for_an_answer_for_each_recipient():
    talk = Conversation(*READY, (OTHER, OK), (DATA, b"354 go\r\n"), client=LmtpClient)
    assert talk.client.send(END) == b".\r\n"
    assert talk.client.owed == 2
    talk.receive(OK)
    assert talk.client.owed == 1


ODD_KEYWORDS = {
    b"250 mx\r\n": {},
    b"250-mx\r\n250 size 10 \r\n": {"SIZE": "10"},
    b"250-mx\r\n250-AUTH=LOGIN\r\n250-\r\n250 AUTH PLAIN LOGIN\r\n": {"AUTH": "PLAIN LOGIN"},
    b"250-SIZE\r\n250-\xfc\r\n250-X\ty\r\n250 -\r\n": {},
    b"250-mx\r\n250-SIZE 1\r\n250 SIZE 2\r\n": {"SIZE": "2"},
}


@pytest.mark.parametrize("reply", ODD_KEYWORDS)
def test_odd_keywords_are_read_or_ignored(reply):
    talk = Conversation()
    talk.client.send(HELLO)
    talk.receive(reply)
    assert talk.client.extensions == ODD_KEYWORDS[reply]


# The contract of the caller


def test_without_pipelining_each_command_waits():
    talk = Conversation()
    talk.client.send(HELLO)
    talk.receive(b"250 mx\r\n")
    talk.client.send(MAIL)
    with pytest.raises(ProtocolError, match="not answered yet"):
        talk.client.send(RCPT)


@pytest.mark.parametrize("last", [HELLO, e.Helo("x"), e.Noop(), QUIT, e.StartTls()], ids=repr)
def test_some_commands_must_be_last_in_a_group(last):
    talk = Conversation((RSET, OK))
    talk.client.send(RSET)
    talk.client.send(last)
    with pytest.raises(ProtocolError, match="not answered yet"):
        talk.client.send(RSET)


def test_no_command_is_sent_before_the_greeting():
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


@pytest.mark.parametrize(("dialogue", "command"), MISUSE, ids=repr)
def test_misuse_is_a_protocol_error(dialogue, command):
    talk = Conversation(*dialogue)
    with pytest.raises(ProtocolError):
        talk.client.send(command)


@pytest.mark.parametrize("content", [b"x", b"xyz"])
def test_a_chunk_of_another_size_breaks_the_client(content):
    talk = Conversation(*READY)
    talk.client.send(chunk(b"xy"))
    with pytest.raises(ProtocolError):
        talk.client.send(e.Content(content)) + talk.client.send(END)
    assert talk.client.broken


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"\0", b"a\r"])
@pytest.mark.parametrize("begun", [IN_DATA, [*READY, (chunk(b"12345678"), b"")]], ids=len)
def test_impure_content_breaks_the_connection(begun, content):
    talk = Conversation(*begun)
    with pytest.raises(ImpureError):
        talk.client.send(e.Content(content)) + talk.client.send(END)
    assert talk.client.broken


def test_the_null_reverse_path_is_written():
    assert Conversation((RSET, OK)).client.send(e.Mail(NULL_PATH, {})) == b"MAIL FROM:<>\r\n"


# Any conversation


RECEIVED = st.lists(
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


@given(st.sampled_from([SmtpClient, LmtpClient]), SENT, RECEIVED)
def test_any_conversation_gives_answers_or_documented_errors(make, sent, received):
    client = make()
    for command, data in zip(sent, received, strict=False):
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
