"""Mail handed to a real Postfix: what it gets is what was sent, and never more than one message."""

import contextlib
import smtplib

import pytest
from tests.e2e import server as e2e
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope
from tests.e2e.server import eventually
from tests.vectors import SMUGGLING
from tools import postfix

CONFIG = e2e.CONFIG
MAILDIR = 'to = "maildir:mail/{{domain}}/{{local}}"'
BODY = b"Subject: relayed\r\n\r\n.dots\r\n..more\r\n.\r\nlast"


@pytest.fixture(scope="module", autouse=True)
def _postfix():
    if why := postfix.why_not():
        pytest.skip(why)


@pytest.fixture(scope="module")
def downstream(_postfix):
    with postfix.running({"mynetworks": "127.0.0.0/8", "smtpd_client_restrictions": ""}) as mail:
        yield mail


@contextlib.contextmanager
def relaying(folder, port, client):
    """Run a server whose mail goes to a port of this machine."""
    route = f'to = "smtp://127.0.0.1:{port}"\nclient = {{{{ {client} }}}}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e2e, "CONFIG", CONFIG.replace(MAILDIR, route))
        with serving(folder) as running:
            yield running


CLIENTS = {"bdat": "chunking = true", "data": "chunking = false", "unverified": "verify = false"}


@pytest.fixture(scope="module", params=CLIENTS)
def gate(request, tmp_path_factory, downstream):
    folder = tmp_path_factory.mktemp(request.param)
    with relaying(folder, downstream.port, CLIENTS[request.param]) as running:
        yield running


def chunk(client, octets):
    client.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
    return client.reply()


def arrived(downstream, box):
    """Wait until Postfix has nothing under way, then return what a mailbox has."""
    queues = [downstream.folder / "queue" / name for name in ("maildrop", "incoming", "active")]
    eventually(lambda: not any(file.is_file() for queue in queues for file in queue.rglob("*")))
    return downstream.mails(box)


def test_what_is_sent_is_what_arrives(gate, downstream):
    boxes = [f"alice+{gate.port}", f"bob+{gate.port}"]
    boxes = [f"{box}@example.com" for box in boxes]
    with Raw(gate.port) as client:
        assert codes(client.say("MAIL FROM:<sender@client.example>")) == ["250"]
        assert codes(client.say(*(f"RCPT TO:<{box}>" for box in boxes))) == ["250", "250"]
        assert chunk(client, BODY).startswith("250 2.0.0 Ok, ")
    for box in boxes:
        (mail,) = eventually(lambda box=box: downstream.mails(box))
        trace, _, content = mail.partition(b"Subject: ")
        assert b"by mx.example.com (Gatepost) with ESMTP id " in trace
        assert b"Subject: " + content == BODY.replace(b"\r\n", b"\n") + b"\n"


def test_a_large_message(gate, downstream):
    box = f"carol+{gate.port}@example.com"
    content = b"Subject: x\r\n\r\n" + b".line of text\r\n" * 150_000
    with smtplib.SMTP("127.0.0.1", gate.port, "client.example", 20) as client:
        client.sendmail("sender@client.example", [box], content)
    (mail,) = eventually(lambda: downstream.mails(box))
    assert mail.endswith(content.replace(b"\r\n", b"\n"))


def second_message(box):
    lines = [
        *envelope(box, sender="evil@client.example"),
        "DATA",
        "Subject: SMUGGLED",
        "",
        "x",
        ".",
    ]
    return b"".join(line.encode() + b"\r\n" for line in lines)


@pytest.mark.parametrize("sequence", [*SMUGGLING, b"\r\n.\r\n"], ids=repr)
def test_no_sequence_makes_two_messages_of_one(gate, downstream, sequence):
    inner = f"dave+{gate.port}@example.com"
    octets = b"Subject: a\r\n\r\nbody" + sequence + second_message(inner)
    for number, send in enumerate((chunk, by_data)):
        if send is by_data and sequence == b"\r\n.\r\n":
            continue  # that is two messages
        outer = f"alice+{gate.port}.{SMUGGLING.index(sequence) if sequence in SMUGGLING else 99}"
        outer = f"{outer}.{number}@example.com"
        with Raw(gate.port) as client:
            assert codes(client.say(*envelope(outer))) == ["250", "250"]
            taken = send(client, octets).startswith("250")
        assert taken == (sequence == b"\r\n.\r\n")
        if taken:
            eventually(lambda outer=outer: downstream.mails(outer))
        assert len(arrived(downstream, outer)) == taken
        assert downstream.mails(inner) == []


def by_data(client, octets):
    assert codes(client.say("DATA")) == ["354"]
    client.send(octets)
    return client.reply()


def test_what_the_next_hop_refuses(tmp_path):
    refusing = {
        "mynetworks": "127.0.0.0/8",
        "smtpd_recipient_restrictions": "check_recipient_access inline:{bob@example.com=REJECT},"
        " permit_mynetworks, reject",
        "smtpd_delay_reject": "yes",
    }
    with (
        postfix.running(refusing) as mail,
        relaying(tmp_path, mail.port, "verify = true") as gate,
        Raw(gate.port) as client,
    ):
        client.say("MAIL FROM:<sender@client.example>")
        alice, bob = client.say("RCPT TO:<alice@example.com>", "RCPT TO:<bob@example.com>")
        assert alice[:3] == "250"
        assert bob.startswith("554 5.7.1 <bob@example.com>: Recipient address rejected: ")
        assert client.say("DATA") == ["354 End data with <CR><LF>.<CR><LF>"]
        client.send(b"Subject: x\r\n\r\n.\r\n")
        assert client.reply()[:3] == "250"
        assert eventually(lambda: mail.mails("alice@example.com"))


def test_a_next_hop_that_is_away(tmp_path):
    with relaying(tmp_path, postfix.free_port(), "verify = true") as gate, Raw(gate.port) as client:
        assert codes(client.say(*envelope("alice@example.com"), "DATA")) == ["250", "250", "354"]
        client.send(b"Subject: x\r\n\r\n.\r\n")
        assert client.reply().startswith("451 4.4.1 The next hop cannot be reached")


def test_the_next_hop_is_told_of_the_client(tmp_path):
    trusting = {"smtpd_authorized_xclient_hosts": "127.0.0.0/8", "mynetworks": "127.0.0.0/8"}
    with (
        postfix.running(trusting) as mail,
        relaying(tmp_path, mail.port, 'forward = "xclient"') as gate,
        Raw(gate.port, "EHLO real.client.example") as client,
    ):
        assert codes(client.say(*envelope("alice@example.com"))) == ["250", "250"]
        assert chunk(client, BODY)[:3] == "250"
        (message,) = eventually(lambda: mail.mails("alice@example.com"))
    assert b"Received: from real.client.example (unknown [127.0.0.1])" in message
