import pytest
from tests.wire.driver import DATA, GREETING, HELLO, OK, RCPT, usual

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import NEED_DATA, PAUSED, ProtocolError, SmtpServer, State, WireLimits


def greeted():
    server = SmtpServer(WireLimits())
    assert server.next_event() == e.Connected()
    assert server.send(GREETING) == b"220 gate.example ESMTP\r\n"
    return server


def test_connected_is_the_first_event_and_waits_for_its_reply():
    server = SmtpServer(WireLimits())
    server.receive_data(HELLO)
    assert server.next_event() == e.Connected()
    assert server.next_event() is PAUSED
    assert server.send(GREETING) == GREETING.encoded
    assert server.next_event() == e.Ehlo("client.example")
    assert server.next_event() is PAUSED
    assert server.send(OK) == OK.encoded
    assert server.next_event() is NEED_DATA


def test_a_refused_connection_is_closed():
    server = SmtpServer(WireLimits())
    server.receive_data(HELLO)
    server.next_event()
    reply = Reply(554, "not here", close=True)
    assert server.send(reply) == b"554 not here\r\n"
    assert server.closed
    assert server.last_words is reply
    assert server.next_event() is PAUSED


def test_a_reply_without_an_event_is_an_error():
    server = greeted()
    with pytest.raises(ProtocolError, match=r"^there is no event to answer$"):
        server.send(OK)


def test_content_takes_no_reply():
    server = greeted()
    server.receive_data(DATA + b"x\r\n.\r\n")
    for _ in range(4):
        server.send(usual(server.next_event()))
    assert server.next_event() == e.Content(b"x\r\n")
    with pytest.raises(ProtocolError):
        server.send(OK)
    assert server.next_event() == e.EndOfMessage()


def test_no_command_is_read_before_the_previous_reply():
    server = greeted()
    server.receive_data(HELLO + b"NOOP\r\n")
    assert server.next_event() == e.Ehlo("client.example")
    server.receive_data(b"NO")
    server.receive_data(b"OP\r\n")
    assert server.unread == len(b"NOOP\r\n" * 2)
    server.send(OK)
    assert [answered(server), answered(server)] == [e.Noop(), e.Noop()]
    assert server.unread == 0
    assert server.next_event() is NEED_DATA


def answered(server):
    event = server.next_event()
    server.send(usual(event))
    return event


def test_receiving_is_true_in_the_middle_of_a_message():
    server = greeted()
    assert not server.receiving
    server.receive_data(DATA)
    for _ in range(4):
        assert not server.receiving
        answered(server)
    assert server.receiving
    server.receive_data(b".\r\n")
    assert server.next_event() == e.EndOfMessage()
    assert not server.receiving


def test_only_the_first_chunk_is_marked_as_first():
    server = greeted()
    server.receive_data(RCPT + b"BDAT 1\r\nx")
    for _ in range(3):
        answered(server)
    assert server.agreed.first_chunk
    assert answered(server) == e.Bdat(1, last=False, first=True)
    assert not server.agreed.first_chunk
    assert server.state is State.CHUNKING


def test_empty_data_changes_nothing():
    server = greeted()
    server.receive_data(b"")
    assert server.next_event() is NEED_DATA
    server.receive_data(b"NO")
    server.receive_data(b"")
    assert server.next_event() is NEED_DATA
    assert server.unread == 2


def test_an_extension_applies_from_the_next_command():
    server = greeted()
    for keywords, kind in ((server.extensions | {"XCLIENT"}, e.Xclient), (frozenset(), e.Unknown)):
        server.extensions = keywords
        server.receive_data(b"XCLIENT HELO=x\r\n")
        assert type(answered(server)) is kind


def test_an_extension_after_tls_joins_with_starttls():
    server = SmtpServer(WireLimits())
    server.agreed.after_tls = frozenset({"AUTH"})
    assert "AUTH" not in server.extensions
    server.start_tls()
    assert "AUTH" in server.extensions
    assert server.agreed.after_tls == frozenset()
