"""No sequence of octets turns one message into two (CVE-2023-51764 and similar).

The server refuses line ends other than CRLF. Each attempt ends with one reply and a closed
connection.
"""

import re

import pytest
from tests.e2e.clients import Message, python
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope, second_message
from tests.e2e.server import IMPURE, LIMIT
from tests.vectors import SMUGGLING

IMPURE_REPLY = "550 5.6.0 Message contains a bare CR, bare LF or NUL"
LINE_REPLY = "500 5.5.2 Lines must end with CR LF and nothing else"

SEQUENCES = [
    *SMUGGLING,
    b"\r\r\n.\r\n",  # ends with the real end of data: commands would follow
    b"\r\n.\0\r\n",
    b"\r\n\r.\r\n",
    b"\n\n.\r\n",
]
SPLITS = {
    "whole": lambda octets: [octets],
    "octets": lambda octets: [octets[at : at + 1] for at in range(len(octets))],
    "line ends": lambda octets: re.split(rb"(?=[\r\n])", octets),
}
BEFORE = {
    "body": b"Subject: a\r\n\r\nbody",
    "header": b"Subject: a",
    "start": b"",
    "dots": b"Subject: a\r\n\r\n..x\r\n...",
}


@pytest.fixture(scope="module", params=["none", "starttls", "implicit"])
def server(tmp_path_factory, request):
    """A server with and without TLS; both must behave the same."""
    with serving(
        tmp_path_factory.mktemp("server"), tls=request.param, pipelining="tolerate"
    ) as running:
        yield running


@pytest.fixture
def boxes(server):
    """The addresses of the outer and of the smuggled message; neither may receive mail."""
    outer, inner = server.address("outer"), server.address("inner")
    yield outer, inner
    assert server.mails(outer) == []
    assert server.mails(inner) == []


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_a_sequence_after_data_is_refused(server, boxes, sequence, split, before):
    outer, inner = boxes
    octets = BEFORE[before] + sequence + second_message(inner)
    with Raw(server.port, tls=server.tls) as client:
        assert codes(client.exchange(*envelope(outer), "DATA")) == ["250", "250", "354"]
        client.send(*SPLITS[split](octets))
        assert client.rest() == [IMPURE_REPLY]


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_a_sequence_in_a_session_of_one_segment_is_refused(server, boxes, sequence):
    outer, inner = boxes
    commands = ["EHLO client.example", *envelope(outer), "DATA", ""]
    octets = BEFORE["body"] + sequence + second_message(inner)
    with Raw(server.port, tls=server.tls, hello="") as client:
        client.send("\r\n".join(commands).encode() + octets)
        *replies, last = client.rest()
    assert codes(replies) == ["250", "250", "250", "354"]
    assert last == IMPURE_REPLY


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_a_sequence_in_a_chunk_is_refused(server, boxes, sequence, split):
    outer, inner = boxes
    octets = BEFORE["body"] + sequence + second_message(inner)
    with Raw(server.port, tls=server.tls) as client:
        assert codes(client.exchange(*envelope(outer))) == ["250", "250"]
        client.send(*SPLITS[split](b"BDAT %d LAST\r\n" % len(octets) + octets))
        assert client.rest() == [IMPURE_REPLY]


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_a_sequence_split_between_two_chunks_is_refused(server, boxes, sequence):
    outer, inner = boxes
    octets = BEFORE["body"] + sequence
    first, second = octets[:-1], octets[-1:] + second_message(inner)
    chunks = b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (len(first), first, len(second), second)
    with Raw(server.port, tls=server.tls) as client:
        assert codes(client.exchange(*envelope(outer))) == ["250", "250"]
        client.send(chunks)
        replies = client.rest()
    assert replies in ([IMPURE_REPLY], ["250 2.0.0 Chunk received", IMPURE_REPLY])


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_a_sequence_after_the_size_limit_is_refused(server, boxes, sequence):
    outer, inner = boxes
    octets = b"x" * (LIMIT + 1) + sequence + second_message(inner)
    with Raw(server.port, tls=server.tls) as client:
        assert codes(client.exchange(*envelope(outer), "DATA")) == ["250", "250", "354"]
        client.send(octets)
        assert client.rest() == [IMPURE_REPLY]


def test_an_end_of_data_in_a_chunk_is_content(server, tmp_path):
    """Dots have no meaning in BDAT; a message inside the chunk stays content."""
    outer, inner = server.address("outer"), server.address("inner")
    octets = BEFORE["body"] + b"\r\n.\r\n" + second_message(inner)
    with Raw(server.port, tls=server.tls) as client:
        assert codes(client.exchange(*envelope(outer))) == ["250", "250"]
        client.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
        assert client.reply()[:3] == "250"
    assert [mail.content for mail in server.mails(outer)] == [octets]
    assert server.mails(inner) == []


@pytest.mark.parametrize(
    "end", [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\0\r\n", b"\r\0\n"], ids=repr
)
@pytest.mark.parametrize("split", SPLITS)
def test_a_command_line_without_crlf_is_refused(server, boxes, end, split):
    outer, _ = boxes
    line = f"RCPT TO:<{outer}>".encode() + end + b"DATA\r\nSubject: x\r\n\r\n.\r\n"
    with Raw(server.port, tls=server.tls) as client:
        assert codes(client.exchange("MAIL FROM:<evil@client.example>")) == ["250"]
        client.send(*SPLITS[split](line + b"QUIT\r\n"))
        first, *others = client.rest()
    assert first[:3] in {"500", "501"}
    assert "354" not in codes(others)


def test_a_command_line_with_a_bare_lf_closes_the_connection(server):
    with Raw(server.port, tls=server.tls) as client:
        client.send(b"NOOP\nNOOP\r\nNOOP\r\n")
        assert client.rest() == [LINE_REPLY]


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_smtplib_cannot_smuggle_a_message(server, tmp_path, sequence):
    """smtplib normalises the lines of text, but not of octets, which are refused."""
    box, inner = server.address(), server.address("inner")
    content = BEFORE["body"] + sequence + second_message(inner)
    outcome = python(server.port, tmp_path, Message((box,), content), tls=server.tls)
    for mail in server.mails(box):
        assert not IMPURE.search(mail.content)
    assert len(server.mails(box)) == outcome.sent
    assert server.mails(inner) == []
