"""SPF, DKIM and DMARC with other servers: Exim and Postfix with OpenDKIM sign, NSD has the records.

The signatures of this server are verified by Mail::DKIM.
"""

import json
import re
import smtplib
import subprocess
from contextlib import ExitStack, contextmanager

import pytest
from tests.auth.samples import user, write_users
from tests.e2e.clients import Message, swaks
from tests.e2e.conftest import serving
from tests.e2e.server import GATEPOST, eventually
from tests.mailauth import oracles
from tests.mailauth.keys import pem, private_key
from tools import exim, nsd, opendkim, peers, postfix

SELECTOR = "2026.mail"
PASSWORD = "correct horse, battery"
ZONE = """\
$TTL 60
@ SOA ns root 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
sender TXT "v=spf1 ip4:127.0.0.1 -all"
other TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.sender TXT "v=DMARC1; p=reject"
{selector}._domainkey.sender TXT {key}
"""
PLUGINS = """
[dns]
servers = ["127.0.0.1:{dns}"]

[[plugin]]
use = "spf"

[[plugin]]
use = "dkim"

[[plugin]]
use = "dmarc"
options = {{ reject = "deny" }}
"""
SIGNER = """
[auth]
users = "users.auth"
clear = true

[[plugin]]
use = "dkim_sign"

[[plugin.options.keys]]
domains = ["example.com"]
selector = "{selector}"
file = "private.pem"
"""
EXIM = """\
  port = {port}
  dkim_domain = sender.example
  dkim_selector = {selector}
  dkim_private_key = {key}
"""
CONTENT = b"""\
From: Alice <alice@sender.example>\r
To: bob@open.example\r
Subject: d\xc3\xa9j\xc3\xa0  vu\r
Date: Mon, 30 Nov 2026 09:00:00 +0100\r
Message-ID: <1@sender.example>\r
\r
.A line with  blanks \r
"""


@pytest.fixture(scope="module")
def dns(tmp_path_factory):
    record = private_key("rsa").record
    # A string of a TXT record has at most 255 octets.
    key = " ".join(f'"{record[at : at + 200]}"' for at in range(0, len(record), 200))
    zones = {"example": ZONE.format(selector=SELECTOR, key=key)}
    try:
        with nsd.running(tmp_path_factory.mktemp("nsd"), zones) as port:
            yield port
    except peers.UnavailableError as error:
        pytest.skip(f"nsd is missing: {error}")


@pytest.fixture
def gate(tmp_path, dns):
    with serving(tmp_path, PLUGINS.format(dns=dns)) as server:
        yield server


@contextmanager
def signing_exim(_folder, gate):
    if reason := exim.why_not():
        pytest.skip(reason)
    # A key that is not expanded makes Exim 4.96 crash.
    key = json.dumps(f"${{if bool{{true}}{{{pem('rsa')}}}}}")
    with exim.running(next_hop=EXIM.format(port=gate.port, selector=SELECTOR, key=key)) as mail:
        yield mail


@contextmanager
def signing_postfix(folder, gate):
    if reason := postfix.why_not():
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            signer = opendkim.running(folder, "sender.example", SELECTOR, pem("rsa"))
            milter = stack.enter_context(signer)
        except peers.UnavailableError as error:
            pytest.skip(f"opendkim is missing: {error}")
        options = {
            "mynetworks": "127.0.0.0/8",
            "smtpd_milters": f"inet:127.0.0.1:{milter}",
            "default_transport": f"smtp:[127.0.0.1]:{gate.port}",
        }
        yield stack.enter_context(postfix.running(options))


def send(port, content, sender="alice@sender.example", recipient="bob@open.example"):
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(sender, [recipient], content)


def the_mail(gate, domain="open.example", local="bob"):
    (file,) = eventually(lambda: [*gate.maildir(domain, local).glob("new/*")])
    return file.read_bytes()


def results_of(octets):
    """Return the methods and results of the Authentication-Results field."""
    (field,) = re.findall(
        rb"^Authentication-Results: mx\.example\.com;(.*?)\r\n(?![ \t])",
        octets,
        re.DOTALL | re.MULTILINE,
    )
    return re.findall(r"\b(spf|dkim|dmarc)=(\w+)", field.decode())


def printed(gate, *arguments):
    """Return the output of a command."""
    argv = [GATEPOST, *arguments, "-c", gate.folder / "gatepost.toml"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("signing", [signing_exim, signing_postfix])
def test_signed_mail_of_another_server_passes(gate, tmp_path_factory, signing):
    with signing(tmp_path_factory.mktemp("signer"), gate) as mail:
        send(mail.port, CONTENT)
        octets = the_mail(gate)
    assert results_of(octets) == [("spf", "pass"), ("dkim", "pass"), ("dmarc", "pass")]
    assert octets.count(b"DKIM-Signature:") == 1
    reference = re.search(rb" id (\S+?)[;\r]", octets)[1].decode()
    # The record can follow the reply to the client, and so can the delivery.
    text = eventually(lambda: printed(gate, "explain", reference))
    for name in ("spf", "dkim", "dmarc"):
        assert re.search(rf"{name}\W+pass", text), text
    report = json.loads(printed(gate, "dmarc", "report", "--json", "--until", "9999-01-01"))
    assert report["domains"] == [
        {"domain": "sender.example", "policy": "reject", "passed": 1, "failed": 0}
    ]


def test_mail_that_its_author_has_not_authenticated_is_refused(gate):
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.26 DMARC: sender\.example asks"):
        send(gate.port, CONTENT, sender="alice@other.example")


# The mail of this server


@pytest.fixture
def signer(tmp_path):
    write_users(tmp_path, user(password=PASSWORD))
    (tmp_path / "private.pem").write_text(pem("rsa"))
    with serving(tmp_path, SIGNER.format(selector=SELECTOR), listen="auth = true") as server:
        yield server


def verdict(octets):
    """Return the verdict of Mail::DKIM about the message below its trace fields."""
    signed = octets[octets.index(b"DKIM-Signature:") :]
    records = {f"{SELECTOR}._domainkey.example.com": private_key("rsa").record}
    (answer,) = oracles.ask("mail-dkim", [oracles.verifying(signed, records)])
    return answer


def test_mail_of_a_user_is_signed(signer, tmp_path):
    content = CONTENT.replace(b"sender.example", b"example.com")
    login = ["--auth=PLAIN", "--auth-user=alice", f"--auth-password={PASSWORD}"]
    message = Message(("bob@open.example",), content, "alice@example.com")
    assert swaks(signer.port, tmp_path, message, *login, tls="none").sent
    assert verdict(the_mail(signer)) == "pass"


def test_a_dsn_is_signed(signer):
    with smtplib.SMTP("127.0.0.1", signer.port) as client:
        client.ehlo()
        client.mail("carol@open.example")
        client.rcpt("bob@open.example", ["NOTIFY=SUCCESS"])
        assert client.data(CONTENT)[0] == 250
    dsn = the_mail(signer, local="carol")
    assert b"multipart/report" in dsn
    assert verdict(dsn) == "pass"
