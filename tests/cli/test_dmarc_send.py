"""`gatepost dmarc report --send`: reports go to the addresses that the DNS permits."""

import email
import gzip
import json

import pytest
from tests.checks.dmarc.samples import MORNING, transaction
from tests.cli import ledgers

from gatepost.cli import dmarc
from gatepost.testing import FakeResolver, RunningServer

SINCE = ["--since", "2026-11-28T00:00+00:00", "--until", "2026-11-30T00:00+00:00"]
OWN = "v=DMARC1; p=reject; rua=mailto:reports@example.org"
OTHER = "v=DMARC1; p=reject; rua=mailto:r@collector.example"
CONSENT = {"example.org._report._dmarc.collector.example": "v=DMARC1"}


class Resolver(FakeResolver):
    """A resolver that can be closed."""

    async def close(self):
        pass


@pytest.fixture
def mail(configure, morning):
    configure('[server]\nhostname = "mx.example.com"')
    ledgers.write(
        transaction(time=MORNING), transaction(domain="example.net", record="example.net", rua="")
    )


@pytest.fixture
def receiver():
    """A real server on a port of its own, and the messages that it has taken."""
    with RunningServer(domains=["example.org", "collector.example"]) as server:
        yield server


@pytest.fixture
def send(run, mail, receiver, monkeypatch):
    def send(*options, txt=None):
        monkeypatch.setattr(dmarc, "make_resolver", lambda _config: Resolver(txt=txt or {}))
        via = "{}:{}".format(*receiver.address)
        return run("dmarc", "report", "--out", "reports", "--send", via, *SINCE, *options)

    return send


def test_a_report_is_sent_to_the_address_in_the_record(send, receiver):
    result = send(txt={"_dmarc.example.org": OWN})
    assert result.exit_code == 0
    assert result.stdout.startswith("example.org  mx.example.com!example.org!")
    assert result.stdout.endswith("  reports@example.org: sent\n")
    (received,) = receiver.messages
    assert str(received.reverse_path) == "postmaster@mx.example.com"
    message = email.message_from_bytes(received.content)
    subject = message["Subject"].replace("\r\n", "")
    assert subject.startswith("Report Domain: example.org Submitter: mx.example.com Report-ID: ")
    _, attachment = message.get_payload()
    assert attachment.get_content_type() == "application/gzip"
    assert attachment.get_filename().startswith("mx.example.com!example.org!")
    assert b"<policy_published>" in gzip.decompress(attachment.get_payload(decode=True))


@pytest.mark.parametrize(("consent", "count"), [(CONSENT, 1), ({}, 0)])
def test_another_domain_must_have_agreed(send, receiver, consent, count):
    result = send(txt={"_dmarc.example.org": OTHER} | consent)
    assert len(receiver.messages) == count
    assert result.exit_code == 1 - count
    assert ("collector.example has not agreed" in result.stdout) == (count == 0)


def test_a_refused_report_is_a_failure(send, receiver):
    record = OWN.replace("reports@example.org", "reports@sub.example.org")
    result = send("--json", txt={"_dmarc.example.org": record})
    (sent,) = json.loads(result.stdout)["sent"]
    assert result.exit_code == 1
    assert sent["problem"].startswith("550 5.7.1 Relaying denied")


def test_a_server_that_does_not_answer_is_an_error(run, mail, monkeypatch):
    monkeypatch.setattr(
        dmarc, "make_resolver", lambda _config: Resolver(txt={"_dmarc.example.org": OWN})
    )
    result = run("dmarc", "report", "--out", "reports", "--send", "127.0.0.1:1", *SINCE)
    assert result.exit_code == 1
    assert "--send 127.0.0.1:1: " in result.stderr


@pytest.mark.parametrize(
    "options", [["--send", "localhost"], ["--send", "x:0", "--out", "r"], ["--send", "x:25"]]
)
def test_wrong_options_are_refused(run, mail, options):
    result = run("dmarc", "report", *options)
    assert result.exit_code == 2
    assert "--send" in result.stderr
