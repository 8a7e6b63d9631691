"""Mail from real clients arrives octet for octet after the trace fields."""

import pytest
from tests.e2e.clients import ADDED, CLIENTS, REUSING, UTF8_CLIENTS, Message, python, smtp_source
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import LIMIT

HEADER = b"From: Sender <sender@client.example>\r\nSubject: sample\r\n\r\n"
CONTENTS = {
    "plain": HEADER + b"one\r\ntwo\r\n",
    "dots": HEADER + b".\r\n..\r\n.one\r\n...\r\n\r\n.\r\nMAIL FROM:<a@b.example>\r\n.end\r\n",
    "8-bit": HEADER + bytes(range(0x80, 0x100)) + "\r\nGrüße, 你好\r\n".encode(),
    "controls": HEADER + bytes(set(range(1, 0x20)) - set(b"\r\n")) + b"\x7f\r\n",
    "1 MB": HEADER + b"".join(b"%06d %s\r\n" % (n, b"x" * 92) for n in range(10_400)),
    "no body": HEADER,
    "a dot first": b".first: line\r\n\r\nbody\r\n",
    "no header": b"\r\nonly a body\r\n",
    "blank lines": HEADER + b"\r\n\r\n\r\n",
    "100 kB line": HEADER + b"y" * 100_000 + b"\r\nz\r\n",
    "mailbox line": b"From sender@client.example Thu Jan  1 00:00:00 1970\r\n" + HEADER,
}


# swaks adds a missing header and body, drops "From " lines and does not stuff a first dot.
NOT_KEPT = {("swaks", name) for name in ("no body", "no header", "mailbox line", "a dot first")}
CASES = [
    (client, content)
    for client in CLIENTS
    for content in CONTENTS
    if (client, content) not in NOT_KEPT
]


@pytest.mark.parametrize(("client", "content"), CASES)
def test_content_is_kept(server, tmp_path, client, content):
    box = server.address()
    outcome = CLIENTS[client](server.port, tmp_path, Message((box,), CONTENTS[content]))
    assert outcome.sent, outcome.output
    (mail,) = server.mails(box)
    assert mail.content == CONTENTS[content] + ADDED.get(client, b"")
    assert mail.sender == "sender@client.example"


@pytest.mark.parametrize("client", UTF8_CLIENTS)
def test_international_addresses(server, tmp_path, client):
    box = server.address("grüße")
    message = Message((box,), CONTENTS["8-bit"], sender="absender-ü@client.example")
    outcome = CLIENTS[client](server.port, tmp_path, message)
    assert outcome.sent, outcome.output
    (mail,) = server.mails(box)
    assert mail.content == CONTENTS["8-bit"]
    assert mail.sender == "absender-ü@client.example"


@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "smtp-source"])
def test_every_recipient_has_a_copy(server, tmp_path, client):
    boxes = tuple(server.address() for _ in range(5))
    outcome = CLIENTS[client](server.port, tmp_path, Message(boxes, CONTENTS["dots"]))
    assert outcome.sent, outcome.output
    assert [mail.content for box in boxes for mail in server.mails(box)] == [CONTENTS["dots"]] * 5


@pytest.mark.parametrize("client", REUSING)
def test_several_mails_on_one_connection(server, tmp_path, client):
    box, content = server.address(), [CONTENTS[name] for name in ("plain", "1 MB", "dots")]
    messages = [Message((box,), one) for one in content]
    outcome = CLIENTS[client](server.port, tmp_path, *messages)
    assert outcome.sent, outcome.output
    mails = server.mails(box)
    assert [mail.content for mail in mails] == content
    assert [mail.number for mail in mails] == [1, 2, 3]
    assert len({mail.session for mail in mails}) == 1


def test_many_mails_on_many_persistent_connections(server, tmp_path):
    box = server.address()
    options = ("-d", "-m40", "-s4")
    outcome = smtp_source(server.port, tmp_path, Message((box,), CONTENTS["dots"]), *options)
    assert outcome.sent, outcome.output
    mails = server.mails(box)
    assert [mail.content for mail in mails] == [CONTENTS["dots"] + ADDED["smtp-source"]] * 40
    assert len({mail.session for mail in mails}) == 4


def test_unknown_users_are_refused(server, tmp_path):
    content = CONTENTS["plain"]
    outcome = python(server.port, tmp_path, Message(("alice@example.com",), content))
    assert outcome.sent, outcome.output
    assert server.mails("alice@example.com")[0].content == content
    outcome = python(server.port, tmp_path, Message(("unknown@example.com",), content))
    assert not outcome.sent
    assert "550, b'5.1.1 No such mailbox [" in outcome.output
    outcome = python(server.port, tmp_path, Message(("alice@elsewhere.example",), content))
    assert not outcome.sent
    assert "550, b'5.7.1 Relaying denied: not a domain of this server [" in outcome.output


def chunks(content, size):
    """Return the BDAT commands that send content in chunks, the last marked so."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
    heads = [b"BDAT %d\r\n" % len(piece) for piece in pieces[:-1]]
    heads.append(b"BDAT %d LAST\r\n" % len(pieces[-1]))
    return [head + piece for head, piece in zip(heads, pieces, strict=True)]


@pytest.mark.parametrize("content", [*CONTENTS, "nothing"])
@pytest.mark.parametrize("size", [17, 4096, 10**9])
def test_chunks(server, content, size):
    octets = CONTENTS.get(content, b"")
    size = max(size, len(octets) // 1000)
    box = server.address()
    with Raw(server.port) as client:
        assert codes(client.exchange(*envelope(box))) == ["250"] * 2
        commands = chunks(octets, size)
        client.send(b"".join(commands))
        assert codes(client.reply() for _ in commands) == ["250"] * len(commands)
    (mail,) = server.mails(box)
    assert mail.content == octets


def test_an_empty_message_is_accepted(server):
    box = server.address()
    with Raw(server.port) as client:
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(b""))
        assert client.reply().startswith("250 2.0.0 Ok")
    (mail,) = server.mails(box)
    assert mail.content == b""


@pytest.mark.parametrize("content", CONTENTS)
def test_a_whole_session_in_one_segment(tolerant, content):
    server = tolerant
    box = server.address()
    with Raw(server.port, hello="") as client:
        commands = ["EHLO client.example", *envelope(box), "DATA", ""]
        client.send(b"\r\n".join(line.encode() for line in commands) + stuffed(CONTENTS[content]))
        client.send(b"QUIT\r\n")
        assert codes(client.rest()) == ["250", "250", "250", "354", "250", "221"]
    (mail,) = server.mails(box)
    assert mail.content == CONTENTS[content]


def test_data_and_chunks_on_one_connection(server):
    box = server.address()
    with Raw(server.port) as client:
        assert codes(client.exchange(*envelope(box))) == ["250"] * 2
        client.send(*chunks(CONTENTS["dots"], 20))
        assert codes(client.reply() for _ in chunks(CONTENTS["dots"], 20))[-1] == "250"
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(CONTENTS["plain"]))
        assert client.reply()[:3] == "250"
    assert [mail.content for mail in server.mails(box)] == [CONTENTS["dots"], CONTENTS["plain"]]


def test_a_mail_over_the_limit_is_refused_and_the_next_one_accepted(server):
    box = server.address()
    with Raw(server.port) as client:
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(b"x" * LIMIT + b"\r\n"))
        assert client.reply() == "552 5.3.4 Message size exceeds the limit"
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(b"y" * (LIMIT - 2) + b"\r\n"))
        assert client.reply()[:3] == "250"
    (mail,) = server.mails(box)
    assert mail.content == b"\r\n" + b"y" * (LIMIT - 2) + b"\r\n"
