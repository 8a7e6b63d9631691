import pytest
from tests.wire.driver import DATA, HELLO, RCPT, SPLITS, drain, play, usual

from gatepost.wire import events as e
from gatepost.wire.smtp import SmtpServer, WireLimits
from gatepost.wire.smtp.content import DISCARD_FACTOR, is_pure

TOO_LONG = "500 5.5.6 Line too long"
TOO_BIG = "552 5.3.4 Message size exceeds the limit"
IMPURE = "550 5.6.0 Message contains a bare CR, bare LF or NUL"
LIMITS = WireLimits(command_line=50, message_size=100)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b""])
def test_a_command_line_over_the_limit_closes(split, ending):
    played = play(HELLO + b"x" * 50 + ending, split, limits=LIMITS)
    assert played.replies == ["250 2.0.0 ok", TOO_LONG]
    assert played.closed
    assert played.most_unread < 50


@pytest.mark.parametrize("split", SPLITS)
def test_a_command_line_at_the_limit_is_accepted(split):
    played = play(HELLO + b"NOOP " + b"x" * 43 + b"\r\n", split, limits=LIMITS)
    assert played.replies == ["250 2.0.0 ok"] * 2
    played = play(HELLO + b"NOOP " + b"x" * 44 + b"\r\n", split, limits=LIMITS)
    assert played.replies == ["250 2.0.0 ok", TOO_LONG]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [101, 400])
def test_a_message_over_the_limit_is_discarded_and_the_session_continues(size, split):
    body = b"x" * (size - 2) + b"\r\n.\r\n"
    played = play(DATA + body + b"NOOP\r\n", split, limits=LIMITS)
    assert played.replies[3:] == ["354 go ahead", TOO_BIG, "250 2.0.0 ok"]
    assert played.of(e.EndOfMessage) == []


@pytest.mark.parametrize("split", SPLITS)
def test_a_message_at_the_limit_is_accepted(split):
    body = b"x" * 90 + b"\r\n" + b"..\r\n" + b"abc\r\n"
    played = play(DATA + body + b".\r\n", split, limits=LIMITS)
    assert played.of(e.Content) == [e.Content(b"x" * 90 + b"\r\n.\r\nabc\r\n")]
    assert played.replies[3:] == ["354 go ahead", "250 2.0.0 ok"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("body", [b"x" * 401, b"x\r\n" * 135, b"\0" * 401, b"..\r\n" * 140])
def test_a_message_without_end_closes(body, split):
    played = play(DATA + body, split, limits=LIMITS)
    assert played.replies[3:] == ["354 go ahead", TOO_BIG]
    assert played.closed
    assert DISCARD_FACTOR == 4


@pytest.mark.parametrize(
    "start",
    [
        HELLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\nx",
        HELLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 600000\r\n",
        HELLO + b"BDAT 90000\r\n",
    ],
    ids=["after a fault", "too big", "out of sequence"],
)
def test_content_that_is_discarded_makes_an_event_for_every_few_pieces(start):
    server = SmtpServer(WireLimits(message_size=200_000))
    server.receive_data(start)
    for event in drain(server):
        if type(event) is not e.Content:
            server.send(usual(event))
    for _ in range(5):
        server.receive_data(bytes(16 * 1024))
    assert list(drain(server)) == [e.Content(b"")] * 4


@pytest.mark.parametrize("split", SPLITS)
def test_a_bare_lf_outranks_the_size(split):
    played = play(DATA + b"x" * 200 + b"\n\r\n.\r\n", split, limits=LIMITS)
    assert played.replies[3:] == ["354 go ahead", IMPURE]


def test_no_part_of_a_message_is_buffered():
    """Only octets that may start the terminator are held back."""
    limits = WireLimits(message_size=10**6)
    server = play(DATA, limits=limits).server
    for piece in [b"x" * 65536, b"\r", b"\n", b".", b"\r", b"x", b"y" * 400_000] * 12:
        server.receive_data(piece)
        events = list(drain(server))
        assert server.unread <= 4
        assert len(server._input.data) <= len(piece) + 4
        assert server._input.later is None
        if events and type(events[-1]) is e.MessageFault:
            break
    else:
        pytest.fail("the message did not end")
    assert server.send(usual(events[-1])) == f"{TOO_BIG}\r\n".encode()


def test_a_very_long_line_of_content_is_not_buffered():
    body = b"y" * 100_000 + b"\r\n.\r\n"
    played = play(
        DATA + body, lambda data: [data[at : at + 999] for at in range(0, len(data), 999)]
    )
    assert played.of(e.Content) == [e.Content(b"y" * 100_000 + b"\r\n")]
    assert played.most_unread < 999


def test_an_idle_connection_holds_no_buffer():
    server = play(DATA + b"x" * 100_000 + b"\r\n.\r\n").server
    assert server.unread == 0
    assert server._input.data == b""


def test_a_refused_chunk_is_discarded_on_arrival():
    server = SmtpServer(WireLimits(message_size=10**6))
    feed(server, RCPT + b"BDAT 0\r\nBDAT 1000000 LAST\r\n")
    for _ in range(10):
        assert feed(server, b"x" * 100_000) in ([], [e.Fault])
        assert server.unread == 0
    assert not server.receiving


def feed(server, data):
    server.receive_data(data)
    kinds = []
    for event in drain(server):
        kinds.append(type(event))
        if type(event) is not e.Content:
            server.send(usual(event))
    return kinds


@pytest.mark.parametrize("data", [b"", b"x", b"\r\n", b"a\r\nb", b"\r\n\r\n", b"a\x85\x0b\x1cb"])
def test_crlf_only_is_pure(data):
    assert is_pure(data)


@pytest.mark.parametrize(
    "data", [b"\r", b"\n", b"\0", b"\n\r", b"a\r\r\nb", b"a\r\n\n", b"a\rb\nc", b"\r\n\r"]
)
def test_bare_cr_lf_or_nul_is_not_pure(data):
    assert not is_pure(data)
