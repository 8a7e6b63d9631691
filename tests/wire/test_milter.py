"""The filter's side of the milter protocol."""

import struct

import pytest
from tests.wire import mta
from tests.wire.driver import bytewise, whole
from tests.wire.mta import (
    ABORT,
    DATA,
    DENIED,
    END,
    END_OF_FIELDS,
    ENVELOPE,
    OK,
    OPEN,
    QUIT,
    REUSE,
    Talk,
    body,
    but,
    connect,
    field,
    helo,
    macros,
    mail,
    message,
    offer,
    packet,
    rcpt,
    responses,
    strings,
)

from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.milter import MilterServer, Needs
from gatepost.wire.milter import codes as c
from gatepost.wire.milter.changes import Changes, Field
from gatepost.wire.milter.events import Client, Negotiate, Piece, Reported, SessionEnd
from gatepost.wire.milter.replies import MAX_LINES, ChangedReply
from gatepost.wire.protocol import NEED_DATA, ProtocolError

ALICE = Address("a", "client.example")
BOB = Address("b", "example.com")
TOO_BIG = Reply(552, "Message size exceeds the limit", "5.3.4")


# The negotiation


def terms(talk):
    """Return version, actions and steps of the response to the offer, and the rest of it."""
    (code, data), *_ = responses(talk.sent)
    assert code == "O"
    return struct.unpack("!III", data[:12]), data[12:]


def test_the_filter_asks_for_what_it_needs_of_the_newest_version():
    (version, actions, steps), rest = terms(Talk().play(offer(7)))
    assert version == 6
    assert actions == 0x1FF
    assert steps == c.SILENT_HEADERS | c.CAN_SKIP | c.REFUSED_RECIPIENTS | c.LEADING_SPACE
    assert b"\0\0\0\3i {rcpt_mailer} {rcpt_host} {rcpt_addr}\0" in rest


@pytest.mark.parametrize(
    ("needs", "steps"),
    [
        (Needs(body=False), c.NO_BODY),
        (Needs(unknown=False), c.NO_UNKNOWN),
        (Needs(answers_connect=False), c.SILENT_CONNECT),
        (Needs(answers_helo=False), c.SILENT_HELO),
    ],
)
def test_what_no_plugin_needs_is_left_out(needs, steps):
    assert terms(Talk(needs).play(offer()))[0][2] & ~Needs().steps == steps


def test_an_old_mail_server_gets_its_own_version_without_macros():
    assert terms(Talk().play(offer(2, 0x3F, 0x7F))) == ((2, 0x3F, 0), b"")


@pytest.mark.parametrize(
    "bad",
    [
        *(offer(1), offer(actions=0x1F), packet("O", b"\0\0\0\6"), packet("Z"), connect()),
        *(bytes(4), struct.pack("!I", c.MAX_PACKET + 1), offer() + offer(), offer() + helo()),
        *(offer() + connect() + rcpt(), OPEN + DATA, OPEN + END, ENVELOPE + END),
        *(offer() + packet("C", b"x"), offer() + packet("C", b"x\0"), OPEN + packet("M")),
        *(offer() + connect("no.address"), offer() + packet("C", b"x\x004\0\x19")),
        *(offer() + packet("C", b"x\x004\0\x19192.0.2.1"), offer() + connect("::1")),
        *(offer() + packet("D", b"Codd\0"), offer() + packet("D", b"C" + bytes(c.MAX_MACROS + 1))),
        *(offer() + packet("D", b"Cx"), ENVELOPE + DATA + packet("L", b"name only\0")),
        *(ENVELOPE + DATA + packet("L", b"a\0b\0c\0"), ENVELOPE + DATA + packet("L", b"a\0b")),
        *(offer() + connect() + connect(), offer() + connect() + REUSE + REUSE + helo()),
    ],
)
@pytest.mark.parametrize("cut", [whole, bytewise])
def test_a_malformed_packet_or_one_out_of_order_ends_the_connection(bad, cut):
    talk = Talk().play(*cut(bad), QUIT)
    assert type(talk.events[-1]) is e.Fault
    assert talk.wire.closed
    assert str(talk.events[-1].reply).startswith("500 5.5.2 Milter protocol: ")


# Sessions


def test_a_session_has_the_events_of_smtp():
    talk = Talk().play(
        offer()
        + connect()
        + helo()
        + mail("<a@client.example>", "SIZE=100", "body=8bitmime", "X-OWN=1", "SIZE=x")
        + rcpt("<b@example.com>", "NOTIFY=NEVER")
        + packet("U", strings("WIZ ard"))
        + message(("Subject", " x"))
        + QUIT
    )
    assert talk.plain == [
        Client("mx.example", Endpoint("192.0.2.1", 25)),
        e.Helo("client.example"),
        e.Mail(ALICE, {"SIZE": "100", "BODY": "8BITMIME", "X-OWN": "1"}),
        e.Rcpt(BOB, {"NOTIFY": "NEVER"}),
        e.Unknown("WIZ", "ard"),
        e.Data(),
        e.Content(b"Subject: x\r\n"),
        Piece(b"\r\n"),
        Piece(b"text\r\n"),
        e.EndOfMessage(),
        SessionEnd(),
    ]
    assert talk.codes == "c" * 9  # the header field has no response
    assert talk.wire.closed


@pytest.mark.parametrize(
    ("packet", "peer"),
    [
        (connect("2001:DB8:0::1", family="6"), Endpoint("2001:db8::1", 25)),
        (connect("IPv6:2001:db8::1", family="6"), Endpoint("2001:db8::1", 25)),
        (connect("::ffff:192.0.2.1", family="6"), Endpoint("192.0.2.1", 25)),
        (packet("C", strings("x") + b"U"), Endpoint("local")),
        (connect("/run/socket", 0, family="L"), Endpoint("local")),
    ],
)
def test_the_address_of_a_client_is_in_canonical_form(packet, peer):
    assert Talk().play(offer(), packet).plain[0].peer == peer


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("<>", Address("", "")),
        ("<a@client.example>", ALICE),
        ("a@client.example", ALICE),
        ("<@relay.example:a@client.example>", ALICE),
        ("<root>", Address("root", "")),
        ("<a@b@c.example>", Address("a@b", "c.example")),
        ("<a b@[x>", Address("a b", "[x")),
        ("<a@\u00e9\n.example>", Address("a", "\u00e9?.example")),
        (f"<{'a' * 300}@{'b' * 300}>", Address("a" * 256, "b" * 255)),
        (f"<a@{'b' * 300}.example>", Address("a", "b" * 255)),
    ],
)
def test_every_address_that_the_mail_server_accepts_is_read(argument, address):
    assert Talk().play(OPEN, mail(argument)).plain[-1].path == address


def test_text_that_is_not_printable_is_replaced():
    talk = Talk().play(offer(), connect(name="a\r\nb"), packet("H", b"x\x1b\xff\0"))
    assert [talk.plain[0].name, talk.plain[1].name] == ["a??b", "x?\ufffd"]


def test_macros_come_with_their_command_only():
    octets = (
        macros("C", v="Postfix 3", daemon_addr="192.0.2.9")
        + connect()
        + macros("H", tls_version="TLSv1.3")
        + helo()
        + packet("D", b"M")
        + macros("R", rcpt_mailer="local")
        + mail()
        + rcpt()
        + rcpt()
    )
    talk = Talk().play(offer(), octets)
    assert [one.macros for one in talk.events[1:]] == [
        {"v": "Postfix 3", "daemon_addr": "192.0.2.9"},
        {"tls_version": "TLSv1.3"},
        {},
        {"rcpt_mailer": "local"},
        {},
    ]


@pytest.mark.parametrize(
    ("host", "text", "reply"),
    [
        ("5.1.1", "User unknown", "550 5.1.1 User unknown"),
        ("4.2.0", "Greylisted", "450 4.2.0 Greylisted"),
        ("5.7.1", "554 5.7.1 Relay access denied", "554 5.7.1 Relay access denied"),
        ("", "553 no such user", "553 5.0.0 no such user"),
        ("relay", "", "550 5.0.0 Refused by the mail server"),
        ("4.7.1", "550 contradiction", "450 4.7.1 contradiction"),
    ],
)
def test_a_recipient_that_the_mail_server_refuses_has_its_reply(host, text, reply):
    sent = macros("R", rcpt_mailer="error", rcpt_host=host, rcpt_addr=text) + rcpt()
    assert str(Talk().play(OPEN, mail(), sent).plain[-1].refusal) == reply


def test_a_mailer_of_another_name_accepts():
    sent = macros("R", rcpt_mailer="smtp", rcpt_host="5.1.1", rcpt_addr="x") + rcpt()
    assert Talk().play(OPEN, mail(), sent).plain[-1].refusal is None


def test_one_connection_has_many_sessions():
    talk = Talk().play(OPEN, mail(), REUSE, connect("192.0.2.2"), helo(), mail(), QUIT)
    kinds = [type(one) for one in talk.plain]
    session = [Client, e.Helo, e.Mail, SessionEnd]
    assert kinds == session * 2
    assert talk.codes == "c" * 6


def test_the_end_of_a_transaction_may_come_twice_and_before_a_client():
    talk = Talk().play(offer(), ABORT, connect(), ABORT, helo(), mail(), ABORT, ABORT, mail())
    assert [type(one) for one in talk.plain].count(e.Rset) == 4
    assert talk.codes == "cccc"


def test_after_the_end_of_a_transaction_a_recipient_is_out_of_order():
    assert type(Talk().play(ENVELOPE, ABORT, rcpt()).events[-1]) is e.Fault


def test_after_a_refused_sender_a_recipient_is_out_of_order():
    talk = Talk(answer=but({e.Mail: DENIED})).play(OPEN, mail(), mail(), rcpt())
    assert talk.codes == "ccyy"
    assert type(talk.events[-1]) is e.Fault


def test_helo_ends_the_transaction_unless_it_is_refused():
    assert type(Talk().play(ENVELOPE, helo(), rcpt()).events[-1]) is e.Fault
    refusing = Talk().play(ENVELOPE)
    refusing.answer = but({e.Helo: DENIED})
    assert type(refusing.play(helo(), rcpt()).plain[-1]) is e.Rcpt


# Refusals


def test_a_refusal_has_its_code_and_text_with_doubled_percent_signs():
    reply = Reply(550, "100% no\nat all", "5.7.1").with_reference("ref")
    talk = Talk(answer=but({e.Rcpt: reply})).play(ENVELOPE)
    assert list(responses(talk.sent))[-1] == (
        "y",
        b"550-5.7.1 100%% no\r\n550 5.7.1 at all [ref]\0",
    )


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(550, "plain"), b"550 5.0.0 plain\0"),
        (Reply(421, ""), b"421 4.0.0 \0"),
        (Reply(554, "a\r\n\0\xe9\x1b", "5.7.1"), b"554-5.7.1 a\r\n554 5.7.1 ???\0"),
    ],
)
def test_a_refusal_is_well_formed_whatever_its_text(reply, text):
    talk = Talk(answer=but({e.Rcpt: reply})).play(ENVELOPE)
    assert list(responses(talk.sent))[-1] == ("y", text)


def test_a_long_refusal_is_shortened_to_what_mail_servers_take():
    reply = Reply(550, "\n".join(["line"] * 90), "5.7.1")
    talk = Talk(answer=but({e.Rcpt: reply})).play(ENVELOPE)
    _, data = list(responses(talk.sent))[-1]
    lines = data.removesuffix(b"\0").split(b"\r\n")
    assert len(lines) == MAX_LINES
    assert [line[3:4] for line in lines] == [*[b"-"] * (MAX_LINES - 1), b" "]


def test_a_refusal_where_no_response_is_expected_is_sent_at_the_next_one():
    needs = Needs(answers_connect=False, answers_helo=False)
    talk = Talk(needs, but({Client: DENIED})).play(OPEN)
    assert talk.codes == ""
    assert talk.play(mail(), mail()).codes == "yc"


def test_the_refusal_of_the_next_command_is_sent_instead_of_an_earlier_one():
    later = Reply(450, "later", "4.7.1")
    needs = Needs(answers_connect=False)
    talk = Talk(needs, but({Client: DENIED, e.Helo: later})).play(OPEN, mail())
    assert talk.codes == "yc"
    assert b"450 4.7.1 later" in talk.sent


def test_after_a_refusal_of_data_more_recipients_may_follow():
    talk = Talk(answer=but({e.Data: DENIED})).play(ENVELOPE, DATA, DATA, rcpt(), DATA)
    assert talk.codes == "ccccyycy"


def test_a_refused_piece_ends_the_message():
    talk = Talk(answer=but({Piece: DENIED})).play(ENVELOPE, DATA, field("A", " b"), END_OF_FIELDS)
    assert talk.codes == "cccccy"
    assert type(talk.play(mail()).plain[-1]) is e.Mail
    assert type(talk.play(END).events[-1]) is e.Fault


# Content


def content_of(*packets, leading=True, size=mta.SIZE):
    steps = mta.STEPS if leading else mta.STEPS & ~c.LEADING_SPACE
    talk = Talk(size=size)
    talk.play(offer(steps=steps), connect(), mail(), rcpt(), DATA, *packets)
    return talk


@pytest.mark.parametrize(
    ("leading", "value", "line"),
    [
        (True, " x", b"A: x\r\n"),
        (True, "x", b"A:x\r\n"),
        (True, "", b"A:\r\n"),
        (True, "\tx\n\ty\n z", b"A:\tx\r\n\ty\r\n z\r\n"),
        (True, " x\r\n y", b"A: x\r\n y\r\n"),
        (True, " \u00e9", b"A: \xc3\xa9\r\n"),
        (False, "x", b"A: x\r\n"),
        (False, " x", b"A:  x\r\n"),
    ],
)
def test_header_fields_are_as_the_client_sent_them(leading, value, line):
    talk = content_of(field("A", value), END_OF_FIELDS, END, leading=leading)
    assert talk.content == line + b"\r\n"
    assert type(talk.plain[-1]) is e.EndOfMessage


@pytest.mark.parametrize(
    "bad",
    [
        *(field("A", "x\nB: y"), field("A", "x\n"), field("A", "x\ry"), field("A b", "x")),
        *(field("A:", "x"), field("", "x"), field("\u00e9", "x"), field("A", "x\n\n y")),
        *(body(b"a\nb"), body(b"a\rb"), body(b"a\0b"), body(b"a\r")),
    ],
)
def test_impure_content_is_refused_at_the_end_of_the_message(bad):
    talk = content_of(bad, END_OF_FIELDS, body(b"x\r\n"), END)
    assert str(talk.plain[-1].reply).startswith("550 5.6.0 Message contains a bare CR")
    assert list(responses(talk.sent))[-1][0] == "y"
    assert not talk.wire.closed


def test_a_line_end_may_be_cut_between_two_pieces():
    talk = content_of(END_OF_FIELDS, body(b"a\r"), body(b"\nb\r"), packet("E", b"\nc\r\n"))
    assert talk.content == b"\r\na\r\nb\r\nc\r\n"
    assert type(talk.plain[-1]) is e.EndOfMessage


def test_a_line_end_that_is_cut_off_is_impure():
    talk = content_of(END_OF_FIELDS, body(b"a\r"), END)
    assert talk.plain[-1].reply.code == 550


def test_a_message_over_the_limit_is_refused_and_its_body_skipped():
    talk = content_of(END_OF_FIELDS, body(b"x" * 60), body(b"y" * 60), body(b"z"), END, size=100)
    assert talk.plain[-1].reply == TOO_BIG
    assert talk.content == b"\r\n" + b"x" * 60
    assert talk.codes[-5:] == "ccssy"


def test_without_skip_the_rest_of_the_body_is_dropped():
    talk = Talk(size=10).play(offer(steps=0), connect(), mail(), rcpt(), DATA)
    talk.play(field("A", "b"), END_OF_FIELDS, body(b"x" * 60), END)
    assert talk.codes[-4:] == "cccy"


def test_a_body_that_nothing_needs_is_not_sent_and_dropped_if_it_is():
    talk = Talk(Needs(body=False)).play(ENVELOPE, message(("A", " b")))
    assert talk.content == b"A: b\r\n\r\n"
    assert talk.codes[-3:] == "csc"


@pytest.mark.parametrize("first", [field("A", "b"), END_OF_FIELDS, body(b"\r\n"), END])
def test_before_version_4_data_comes_with_the_first_piece(first):
    opened = offer(3, steps=0) + connect() + mail() + rcpt()
    kinds = [type(one) for one in Talk().play(opened, first).plain[3:]]
    assert kinds[0] is e.Data
    assert len(kinds) == 2
    refused = Talk(answer=but({e.Data: DENIED})).play(opened, first)
    assert refused.codes == "cccy"
    assert type(refused.play(rcpt()).plain[-1]) is e.Rcpt


# Changes


def changed(changes, *, steps=mta.STEPS, actions=mta.ALL):
    """Return the responses to the end of a message that is accepted with changes."""
    talk = Talk(answer=but({e.EndOfMessage: ChangedReply(OK, changes)}))
    talk.play(offer(steps=steps, actions=actions), connect(), mail(), rcpt(), DATA)
    before = len(talk.sent)
    talk.play(END_OF_FIELDS, END)
    return list(responses(talk.sent[before:]))[1:]


def test_fields_are_changed_from_the_last_to_the_first():
    field = Field(b"Subject", b" new\r\n more")
    assert changed(Changes(changed=[(b"X", 1, None), (b"Subject", 2, field), (b"X", 2, None)])) == [
        ("m", b"\0\0\0\2Subject\0 new\n more\0"),
        ("m", b"\0\0\0\2X\0\0"),
        ("m", b"\0\0\0\1X\0\0"),
        ("c", b""),
    ]


def test_fields_are_added_in_order():
    added = Changes(
        appended=[Field(b"A", b" 1"), Field(b"B", b" 2")],
        inserted=[Field(b"C", b" 3"), Field(b"D", b" 4")],
    )
    assert changed(added) == [
        *(("h", b"A\0 1\0"), ("h", b"B\0 2\0")),
        *(("i", b"\0\0\0\0D\0 4\0"), ("i", b"\0\0\0\0C\0 3\0"), ("c", b"")),
    ]


def test_a_mail_server_that_adds_the_leading_space_gets_none():
    steps = mta.STEPS & ~c.LEADING_SPACE
    assert changed(Changes(appended=[Field(b"A", b"  1\0")]), steps=steps)[0] == ("h", b"A\0 1\0")


def test_recipients_are_added_and_deleted():
    recipients = Changes(added=[("a@x", "NOTIFY=NEVER"), ("b@x", "")], deleted=["c@x"])
    assert changed(recipients) == [
        *(("2", b"<a@x>\0NOTIFY=NEVER\0"), ("+", b"<b@x>\0"), ("-", b"<c@x>\0"), ("c", b"")),
    ]
    assert changed(recipients, actions=0x3F)[0] == ("+", b"<a@x>\0")


def test_the_sender_is_changed_if_the_mail_server_can_do_that():
    assert changed(Changes(sender="a@x")) == [("e", b"<a@x>\0"), ("c", b"")]
    assert changed(Changes(sender="")) == [("e", b"<>\0"), ("c", b"")]
    assert changed(Changes(sender="a@x"), actions=0x3F) == [("c", b"")]


def test_a_new_body_is_sent_in_pieces():
    big = b"x" * (c.BODY_PIECE + 1)
    assert changed(Changes(body=[b"first", big])) == [
        *(("b", b"first"), ("b", big[:-1]), ("b", b"x"), ("c", b"")),
    ]
    assert changed(Changes(body=[])) == [("b", b""), ("c", b"")]


def test_a_message_is_held_or_dropped():
    assert changed(Changes(quarantine="a\0b")) == [("q", b"ab\0"), ("c", b"")]
    assert changed(Changes(discard=True)) == [("d", b"")]


def test_a_changed_reply_keeps_its_changes_whatever_words_a_plugin_has():
    reply = ChangedReply(OK, Changes(discard=True))
    assert reply.reworded(250, "other", None) is reply


# Waiting


@pytest.mark.parametrize(
    ("software", "sent", "progress"),
    [
        ("Postfix 3.7.11", mail(), True),
        ("8.17.1", mail(), False),
        ("Postfix 3.7.11", b"", False),
        ("8.17.1", mail() + rcpt() + DATA + END_OF_FIELDS + END, True),
    ],
)
def test_progress_is_reported_where_the_mail_server_takes_it(software, sent, progress):
    wire = MilterServer(100, Needs())
    wire.receive_data(offer() + macros("C", v=software) + connect() + sent)
    event = wire.next_event()
    while event is not NEED_DATA:
        assert wire.progress() == b"" or wire.progress() == packet("p")
        last = wire.progress() != b""
        if type(event) is not e.Content:
            wire.send(OK)
        event = wire.next_event()
    if sent:
        assert last is progress
    assert wire.progress() == b""


def test_a_command_without_a_response_has_no_progress():
    wire = MilterServer(100, Needs(answers_helo=False))
    wire.receive_data(offer() + macros("C", v="Postfix 3.7.11") + connect() + helo())
    for kind in (Negotiate, Reported, Reported):
        assert type(wire.next_event()) is kind
        assert (wire.progress() == b"") == (kind is Negotiate or wire._command == c.HELO)
        wire.send(OK)


# The contract


def test_a_reply_without_an_event_is_a_mistake_of_the_caller():
    with pytest.raises(ProtocolError, match="there is no event to answer"):
        MilterServer(100, Needs()).send(OK)


def test_an_incomplete_packet_does_not_count_as_unread():
    wire = MilterServer(100, Needs())
    wire.receive_data(offer()[:-1])
    assert (wire.unread, wire.next_event()) == (0, NEED_DATA)
    wire.receive_data(offer()[-1:] + connect())
    assert wire.unread == len(offer() + connect())


@pytest.mark.parametrize("cut", [whole, bytewise])
def test_the_events_do_not_depend_on_how_the_input_is_cut(cut):
    octets = ENVELOPE + message(("A", " b"), ("C", " d")) + mail() + ABORT + REUSE + OPEN[17:]
    talk = Talk().play(*cut(octets))
    assert talk.events == Talk().play(octets).events
    assert not talk.wire.closed
