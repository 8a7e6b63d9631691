"""The input buffer: linear cost, and checks that see input in later pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.driver import DATA, GREETING, HELLO, RCPT, drain, usual

from gatepost.wire import events as e
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import NEED_DATA, PAUSED, SmtpServer, WireLimits
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.input_buffer import InputBuffer
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS

LINE = b"NOOP " + b"x" * 93 + b"\r\n"
PIECES = 10_000


class Counted(bytes):
    """A piece that records every join with the octets in front of it."""

    joins = 0
    copied = 0

    def __radd__(self, other):
        Counted.joins += 1
        Counted.copied += len(other) + len(self)
        return bytes(other) + bytes(self)


@pytest.fixture(autouse=True)
def _reset():
    Counted.joins = Counted.copied = 0


def paused(pieces, limits=None, reached=b"", **options):
    """Return a server that received the pieces while it waits for the first reply."""
    server = SmtpServer(limits or WireLimits(), **options)
    server.receive_data(reached)
    for event in drain(server):
        server.send(usual(event))
    server.receive_data(b"NOOP\r\n")
    assert server.next_event() == e.Noop()
    for piece in pieces:
        server.receive_data(piece)
        assert server.next_event() is PAUSED
    server.send(usual(e.Noop()))
    return server


def consume(server):
    """Answer every event; return the kinds of those that take a reply."""
    kinds = []
    for event in drain(server):
        if type(event) is not e.Content:
            kinds.append(type(event))
            server.send(usual(event))
    return kinds


def cut(data, size):
    return [Counted(data[at : at + size]) for at in range(0, len(data), size)]


def test_whole_lines_of_a_backlog_are_never_joined():
    server = paused([Counted(LINE)] * PIECES)
    assert server.unread == PIECES * len(LINE)
    assert consume(server) == [e.Noop] * PIECES
    assert (Counted.joins, server.unread) == (0, 0)


@pytest.mark.parametrize("offset", [1, 50, 99])
def test_a_piece_of_a_backlog_is_joined_once(offset):
    pieces = cut(LINE[offset:] + LINE * PIECES, 100)
    server = paused([LINE[:offset], *pieces])
    assert consume(server) == [e.Noop] * (PIECES + 1)
    assert Counted.joins <= len(pieces)
    assert Counted.copied <= 2 * len(LINE) * len(pieces)


def test_a_backlog_of_content_is_not_joined():
    pieces = cut(b"x" * 98 + b"\r\n", 100) * PIECES
    server = paused([DATA.removeprefix(HELLO), *pieces, b".\r\n"], reached=HELLO)
    assert consume(server) == [e.Mail, e.Rcpt, e.Data, e.EndOfMessage]
    assert Counted.joins <= len(pieces)
    assert Counted.copied <= 2 * 100 * PIECES


def test_a_discarded_chunk_is_not_joined():
    pieces = [Counted(b"x" * 100)] * PIECES
    line = b"BDAT 0\r\nBDAT %d LAST\r\n" % (100 * PIECES)
    server = paused([line, *pieces], reached=RCPT)
    assert consume(server) == [e.MessageFault, e.Fault]
    assert (Counted.joins, server.unread) == (0, 0)


def test_a_line_of_many_pieces():
    server = paused(cut(b"NOOP " + b"x" * 1500 + b"\r\nNOOP\r\n", 1))
    assert consume(server) == [e.Noop] * 2


def test_a_line_too_long_of_many_pieces():
    server = paused([b"x"] * 3000)
    assert server.next_event() == e.Fault(r.LINE_TOO_LONG)


@pytest.mark.parametrize("behind", [b"\r\n", b"x", b"EHLO a\r\n"])
def test_starttls_detects_input_in_a_later_piece(behind):
    server = paused(
        [b"STARTTLS\r\n", b"", behind], reached=HELLO, extensions=EXTENSIONS | {"STARTTLS"}
    )
    assert server.next_event() == e.Fault(r.NOT_ALONE)


def test_starttls_ignores_an_empty_piece():
    server = paused([b"STARTTLS\r\n", b""], reached=HELLO, extensions=EXTENSIONS | {"STARTTLS"})
    assert server.next_event() == e.StartTls()


def test_auth_detects_input_in_a_later_piece():
    pieces = [b"AUTH PLAIN\r\n", b"AHgAeQ==\r\n"]
    server = paused(pieces, reached=HELLO, extensions=EXTENSIONS | {"AUTH"})
    assert server.next_event() == e.Fault(r.AUTH_NOT_ALONE)


def test_a_response_detects_input_in_a_later_piece():
    server = SmtpServer(WireLimits(), extensions=EXTENSIONS | {"AUTH"})
    server.receive_data(HELLO + b"AUTH PLAIN\r\n")
    for event in drain(server):
        server.send(usual(event) if type(event) is not e.Auth else r.Reply(334, ""))
    server.receive_data(b"AHg")
    server.receive_data(b"AeQ==\r\n")
    server.receive_data(b"NOOP\r\n")
    assert server.next_event() == e.Fault(r.AUTH_NOT_ALONE)


@pytest.mark.parametrize("line", [b"EHLO a\r\n", b"NOOP\r\n"])
def test_synchronisation_detects_input_in_a_later_piece(line):
    server = paused([line, b"RSET\r\n"], WireLimits(synchronised=True), HELLO)
    assert server.next_event() == e.Fault(r.NOT_SYNCHRONISED)


def test_data_detects_input_in_a_later_piece():
    server = SmtpServer(WireLimits(synchronised=True))
    server.next_event()
    server.send(GREETING)
    for line in DATA.splitlines(keepends=True):
        server.receive_data(line)
        event = server.next_event()
        if type(event) is not e.Data:
            server.send(usual(event))
    server.receive_data(b"")
    server.receive_data(b"RSET\r\n")
    assert server.send(usual(event)) == r.NOT_SYNCHRONISED.encoded
    assert server.closed


def test_the_handshake_drops_later_pieces():
    server = SmtpServer(WireLimits(), extensions=EXTENSIONS | {"STARTTLS"})
    server.receive_data(HELLO + b"STARTTLS\r\n")
    consume(server)
    server.receive_data(b"NO")
    server.receive_data(b"OP\r\n")
    server.start_tls()
    assert server.unread == 0
    assert server.next_event() is NEED_DATA


def test_unread_counts_all_pieces():
    server = paused([b"NOOP\r\n", b"NO", b"OP\r\nNO"])
    assert server.unread == 14
    for left in (8, 2):
        assert server.next_event() == e.Noop()
        assert server.unread == left
        server.send(usual(e.Noop()))
    assert server.next_event() is NEED_DATA
    assert server.unread == 2


@given(st.lists(st.sampled_from([b"", b"a", b"b\r", b"\nc", b"\r\n", b"d\r\ne\r\n"]), max_size=30))
def test_lines_do_not_depend_on_the_cuts(pieces):
    source = InputBuffer()
    for piece in pieces:
        source.append(piece)
    data = b"".join(pieces)
    assert source.unread == len(data)
    lines = []
    while isinstance(line := source.next_line(1000), bytes):
        lines.append(line)
    read = b"".join(line + b"\r\n" for line in lines)
    assert data.startswith(read)
    assert source.unread == len(data) - len(read)
    assert (line is None) == (b"\n" not in data[len(read) :])


def test_lmtp_counts_replies_over_later_pieces():
    server = LmtpServer(WireLimits())
    server.next_event()
    for piece in (
        b"LHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
        b"RCPT TO:<e@f>\r\nBDAT 1 ",
        b"LAST\r\nx",
    ):
        server.receive_data(piece)
    server.send(GREETING)
    output = b"".join(
        server.send(usual(event)) for event in drain(server) if type(event) is not e.Content
    )
    assert output.count(b"250") == 6
