"""LMTP with swaks and Postfix's smtp-source, over TCP and a Unix socket."""

import re
import smtplib

import pytest
from tests.e2e.clients import run
from tests.e2e.conftest import serving
from tests.e2e.server import eventually

LISTEN = """
[[listen]]
address = "127.0.0.1:0"
protocol = "lmtp"

[[listen]]
address = "unix:lmtp"
protocol = "lmtp"
"""
READY = re.compile(r" lmtp=127\.0\.0\.1:(\d+) lmtp=unix:(\S+)$", re.MULTILINE)
TAKEN = re.compile(r"250 2\.0\.0 Ok, ")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("lmtp"), LISTEN) as running:
        yield running


@pytest.fixture(params=["tcp", "unix"])
def address(request, server):
    """The address for smtp-source, and the options for swaks."""
    ready = eventually(lambda: READY.search((server.folder / "log").read_text()))
    if request.param == "unix":
        return f"unix:{ready[2]}", [f"--socket={ready[2]}"]
    return f"127.0.0.1:{ready[1]}", [f"--server=127.0.0.1:{ready[1]}"]


def swaks(address, *recipients):
    return run(
        "swaks",
        "--protocol=LMTP",
        "--ehlo=client.example",
        "--from=sender@client.example",
        f"--to={','.join(recipients)}",
        *address[1],
    )


def test_swaks_receives_a_reply_for_each_recipient(server, address):
    boxes = [server.address() for _ in range(3)]
    outcome = swaks(address, *boxes)
    assert outcome.sent, outcome.output
    assert len(TAKEN.findall(outcome.output)) == 3
    assert [len(server.mails(one)) for one in boxes] == [1, 1, 1]
    [octets] = [one for one in server.delivered() if boxes[0].encode() in one][:1]
    assert b" with LMTP id " in octets


def test_a_trap_refuses_the_message_of_swaks_for_all(server, address):
    box = server.address()
    outcome = swaks(address, box, "trap@open.example")
    assert not outcome.sent
    assert outcome.output.count("554 5.7.1 Message refused by local policy") == 1
    assert server.mails(box) == []


def test_a_refused_recipient_has_no_reply_after_the_content(server, address):
    box = server.address()
    outcome = swaks(address, "unknown@example.com", box)
    assert len(TAKEN.findall(outcome.output)) == 1
    assert len(server.mails(box)) == 1


def test_smtp_source_expects_the_same_number_of_replies(server, address):
    """It fails if a reply is missing, and takes an extra reply as the next message's."""
    box = server.address()
    outcome = run("smtp-source", "-L", "-d", "-m5", "-r3", f"-t{box}", address[0])
    assert outcome.sent, outcome.output
    assert [len(server.mails(f"{prefix}{box}")) for prefix in ("", "2", "3")] == [5, 5, 5]


def test_bdat_last_has_a_reply_for_each_recipient(server, address):
    box = server.address()
    host, _, port = address[0].rpartition(":")
    with smtplib.LMTP(*((port,) if host == "unix" else (host, int(port)))) as client:
        client.ehlo()
        client.mail("sender@client.example")
        client.rcpt(box)
        client.rcpt(box)
        client.send(b"BDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\nNOOP\r\n")
        assert [client.getreply()[0] for _ in range(4)] == [250, 250, 250, 250]
        client.send(b"MAIL FROM:<>\r\n")
        assert client.getreply() == (250, b"2.1.0 Sender ok")
    assert [mail.content for mail in server.mails(box)] == [b"\r\nx\r\ny\r\n"]
