"""The logs of a real Postfix and a real Exim are read as the transactions that were sent to them.

The client has the address 127.0.0.2: mail from 127.0.0.1 would be taken for the server's own.
"""

import smtplib

import pytest
from tests.e2e.server import eventually
from tools import exim, postfix

from gatepost.importers.reading import LogReader
from gatepost.importers.transaction import Ending, Status

CLIENT = "127.0.0.2"
SENDER = "sender@client.example"
UNKNOWN = [f"name{number}@example.com" for number in range(12)]
CONTENT = b"Subject: sample\r\nDate: x\r\nMessage-ID: <1@client.example>\r\n\r\ntext\r\n"


def run_exim():
    return exim.running(refused=UNKNOWN)


def run_postfix():
    names = ", ".join(f"{{{name}@example.com = all/}}" for name in ("ann", "bob"))
    return postfix.running(
        {"virtual_mailbox_maps": f"inline:{{{names}}}", "smtpd_hard_error_limit": "50"}
    )


SERVERS = {"exim": (exim.why_not, run_exim), "postfix": (postfix.why_not, run_postfix)}


@pytest.fixture(params=SERVERS)
def server(request):
    why_not, run = SERVERS[request.param]
    if reason := why_not():
        pytest.skip(reason)
    with run() as mail:
        yield request.param, mail


def attack(port):
    """Ask for recipients that do not exist, and leave."""
    client = smtplib.SMTP("127.0.0.1", port, "attacker.example", source_address=(CLIENT, 0))
    client.ehlo()
    client.mail("x@attacker.example")
    assert {client.rcpt(name)[0] for name in UNKNOWN} == {550}
    client.close()


def send(port):
    with smtplib.SMTP("127.0.0.1", port, "client.example", source_address=(CLIENT, 0)) as client:
        client.sendmail(SENDER, ["ann@example.com", UNKNOWN[0], "bob@example.com"], CONTENT)


def transactions(mail, name, path):
    path.write_text(mail.log())
    return list(LogReader([path], name).transactions())


def accepted_of(found):
    """Return the accepted transactions that have all their recipients."""
    accepted = (one for one in found if one.ending is Ending.ACCEPTED)
    return [
        one for one in accepted if set(one.recipients) >= {"ann@example.com", "bob@example.com"}
    ]


def test_the_log_has_the_transactions_that_were_sent(server, tmp_path):
    name, mail = server
    attack(mail.port)
    send(mail.port)
    eventually(lambda: len(mail.delivered()) == 2 and mail.is_idle())
    # The log is written by another process, after the delivery.
    eventually(lambda: accepted_of(transactions(mail, name, tmp_path / "log")))
    found = transactions(mail, name, tmp_path / "log")
    [first] = [one for one in found if one.sender == "x@attacker.example"]
    assert list(first.recipients) == UNKNOWN
    assert {one.status for one in first.recipients.values()} == {Status.UNKNOWN}
    assert (first.client, first.helo) == (CLIENT, "attacker.example")
    assert first.ending is Ending.ABANDONED
    assert [one.ending for one in found].count(Ending.ACCEPTED) == 1
    [accepted] = accepted_of(found)
    assert (accepted.sender, accepted.client) == (SENDER, CLIENT)
    assert not accepted.is_trusted
    refused = [
        address
        for one in found
        if one.sender == SENDER
        for address, recipient in one.recipients.items()
        if recipient.status is Status.UNKNOWN
    ]
    assert refused == [UNKNOWN[0]]
