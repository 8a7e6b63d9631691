"""All plugins of the cookbook together, in two workers, with the real programs that they use.

Shipped plugins with state run with them. Each test has a client address of its own, because
DNS lists and the reputation are about the address.
"""

import base64
import concurrent.futures
import contextlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import smtplib
import sqlite3
import sys
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.e2e import server as e2e
from tests.e2e.clients import run
from tests.e2e.conftest import serving
from tests.e2e.server import eventually
from tools import clamd, nsd, peers, redis, reference, rspamd, slapd

from gatepost.mailauth.dkim import BodyHashes, load_private_key, sign

RULES = """
rspamd_config:register_symbol({
  name = 'SPAMMY', score = 7, callback = function(task)
    return task:get_header('Subject') == 'spammy'
  end,
})
rspamd_config:register_symbol({
  name = 'FIELDS', score = 0, callback = function(task)
    task:set_milter_reply({ add_headers = { ['X-Rspamd'] = 'checked' } })
  end,
})
"""
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
HEAD = "$TTL 60\n@ SOA ns.example. root.example. 1 60 60 60 60\n@ NS ns.example.\n"
PLUGINS = """
[[listen]]
name = "inside"
address = "127.0.0.1:0"
protocol = "lmtp"

[store]
url = "{store}"

[dns]
servers = ["127.0.0.1:{dns}"]

[[plugin]]
use = "plugins/decision_log.py"

[[plugin]]
use = "plugins/prometheus.py"
options = {{ folder = "metrics" }}

[[plugin]]
use = "reputation"
options = {{ refuse = "defer", refuse_evidence = 3, ipv4_prefix = 32, exempt_clients = [] }}
only = {{ networks = ["127.0.0.30"] }}

[[plugin]]
use = "dnswl"
options = {{ zones = ["wl.test"], exempt_clients = [] }}

[[plugin]]
use = "dnsbl"
options = {{ zones = ["bl.test"], exempt_clients = [] }}
unless = {{ results = {{ dnswl = "pass" }} }}

[[plugin]]
use = "spf"
options = {{ fail = "deny", relays = true }}

[[plugin]]
use = "plugins/sql_recipients.py"
options = {{ database = "mail.db" }}

[[plugin]]
use = "plugins/ldap_recipients.py"
options = {{ url = "{ldap}", base = "{base}" }}

[[plugin]]
use = "greylist"
options = {{ delay = "500ms", exempt_clients = [] }}
unless = {{ results = {{ spf = "pass" }} }}

[[plugin]]
use = "rate_limit"
options = {{ rules = [{{ name = "senders", by = ["sender"], rate = "40/24h" }}] }}

[[plugin]]
use = "plugins/aliases.py"

[plugin.options]
journal = "dave@example.com"
aliases = {{ "team@example.com" = ["alice@example.com", "bob@example.com"] }}

[[plugin]]
use = "plugins/status_verb.py"

[[plugin]]
use = "plugins/attachments.py"

[[plugin]]
use = "plugins/clamd_scan.py"
options = {{ socket = "{clamd}" }}

[[plugin]]
use = "dkim"

[[plugin]]
use = "plugins/rspamd_check.py"
options = {{ url = "{rspamd}" }}

[[plugin]]
use = "plugins/spam_opt_in.py"
options = {{ strict = ["carol@example.com"] }}

[[plugin]]
use = "plugins/tag_external.py"
"""
METRIC = 'gatepost_plugin_prometheus_replies{{worker="{}",code="250",hook="ehlo"}}'
NEEDED = ("clamd", "cookbook", "nsd", "redis-server", "rspamd", "slapd")
LMTP = re.compile(r" lmtp=127\.0\.0\.1:(\d+)")


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def zones(key):
    octets = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
    strings = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
    return {
        "example": f"{HEAD}"
        'client TXT "v=spf1 ip4:127.0.0.0/8 -all"\n'
        'forged TXT "v=spf1 -all"\n'
        "new A 192.0.2.1\n"
        f"one._domainkey.client TXT {strings}\n",
        "bl.test": f"{HEAD}2.0.0.127 A 127.0.0.2\n20.0.0.127 A 127.0.0.2\n21.0.0.127 A 127.0.0.2\n",
        "wl.test": f"{HEAD}2.0.0.127 A 127.0.2.1\n21.0.0.127 A 127.0.2.1\n",
    }


@pytest.fixture(scope="module")
def packages():
    """Make the Python packages importable here and in the server."""
    absent = peers.missing(NEEDED)
    if importlib.util.find_spec("redis") is None:
        absent["redis"] = "pip install 'gatepost[redis]'"
    if absent:
        pytest.skip("; ".join(f"{name} is missing: {reason}" for name, reason in absent.items()))
    folders = peers.find("cookbook").env["PYTHONPATH"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, *folders.split(":")])
        before = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        patch.setenv("PYTHONPATH", ":".join([*before, folders]))
        yield


@pytest.fixture(scope="module")
def server(packages, key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "plugins").mkdir()
    (folder / "metrics").mkdir()
    for name in reference.RECIPES:
        shutil.copy(reference.EXAMPLES / f"{name}.py", folder / "plugins")
    with contextlib.closing(sqlite3.connect(folder / "mail.db")) as database:
        database.execute("create table mailboxes (user text, domain text)")
        rows = [("team", "example.com"), ("ann", "sql.example")]
        database.executemany("insert into mailboxes values (?, ?)", rows)
        database.commit()
    make = tmp_path_factory.mktemp
    with (
        nsd.running(make("nsd"), zones(key)) as dns,
        redis.running() as store,
        rspamd.running(make("rspamd"), RULES) as scanner,
        clamd.running(make("clamd")) as socket,
        slapd.running(make("slapd"), ["ann@ldap.example"]) as ldap,
        pytest.MonkeyPatch.context() as patch,
    ):
        config = PLUGINS.format(
            store=store.url,
            dns=dns,
            rspamd=scanner.url,
            clamd=socket,
            ldap=ldap.url,
            base=slapd.BASE,
        )
        patch.setattr(e2e, "CONFIG", e2e.CONFIG.replace("[server]", "[server]\nworkers = 2", 1))
        with serving(folder, config) as running:
            yield running


class Client:
    """A connection from an address of its own; `send` returns the last reply."""

    def __init__(self, port, address, kind=smtplib.SMTP):
        self.smtp = kind("127.0.0.1", port, "client.example", source_address=(address, 0))
        self.smtp.ehlo()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.smtp.close()

    def rcpt(self, rcpt, sender="a@client.example"):
        """Return the reply to RCPT, or the refusal of MAIL."""
        code, text = self.smtp.mail(sender)
        if code == 250:
            code, text = self.smtp.rcpt(rcpt)
        self.smtp.rset()
        return f"{code} {text.decode()}"

    def send(self, rcpt, content, sender="a@client.example"):
        """Send a message; return the reply to its end."""
        assert self.smtp.mail(sender)[0] == 250
        assert self.smtp.rcpt(rcpt)[0] == 250
        code, text = self.smtp.data(content)
        return f"{code} {text.decode()}"


def content(subject="hello", body="text"):
    return f"From: a@client.example\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()


def received(server, address):
    """Return the messages in a mailbox, the last one last, as text."""
    local, _, domain = address.partition("@")
    files = sorted(server.maildir(domain, local).glob("new/*"), key=lambda one: one.stat().st_mtime)
    return [file.read_text() for file in files]


def fields(message):
    return message.partition("\n\n")[0].replace("\n\t", " ")


def test_a_clean_message_is_checked_and_marked(server, key):
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    block, _, body = content().partition(b"\r\n\r\n")
    hashes = BodyHashes(signing=True)
    hashes.update(body)
    hashes.finish()
    signature = sign(
        block + b"\r\n",
        hashes.for_signing,
        domain="client.example",
        selector="one",
        key=load_private_key(pem),
        now=time.time(),
    )
    forged = b"Authentication-Results: mx.example.com; dkim=pass header.d=bank.example\r\n"
    with Client(server.port, "127.0.0.10") as client:
        reply = client.send("1clean@open.example", forged + signature + content())
    assert reply.startswith("250 ")
    [message] = received(server, "1clean@open.example")
    head = fields(message)
    assert re.search(r"spf=pass reason=\S.* smtp.mailfrom=a@client.example;", head)
    assert re.search(r"dkim=pass reason=\S.* header.d=client.example header.s=one", head)
    assert "bank.example" not in head
    assert "\nX-Rspamd: checked\n" in head
    assert "\nX-External: yes\n" in head
    assert "\nSubject: [EXT] hello" in head


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (clamd.EICAR.decode(), "554 5.7.1 virus scan: Test.Eicar.UNOFFICIAL FOUND"),
        (GTUBE, "554 5.7.1 Gtube pattern"),
    ],
    ids=["eicar", "gtube"],
)
def test_a_virus_and_spam_are_refused(server, body, reply):
    with Client(server.port, "127.0.0.11") as client:
        assert client.send("1refused@open.example", content(body=body)).startswith(reply)
    assert received(server, "1refused@open.example") == []


def test_an_attachment_is_refused(server):
    part = "Content-Disposition: attachment; filename=a.exe\r\n"
    with Client(server.port, "127.0.0.11") as client:
        reply = client.send("1refused@open.example", part.encode() + content())
    assert reply.startswith("554 5.7.1 attachments of this type are not accepted")


def test_swaks_sends_to_an_alias(server):
    before = {name: len(received(server, f"{name}@example.com")) for name in ("alice", "bob")}
    outcome = run(
        "swaks",
        f"--server=127.0.0.1:{server.port}",
        "--local-interface=127.0.0.12",
        "--ehlo=client.example",
        "--from=a@client.example",
        "--to=team@example.com",
        "--header=Subject: for the team",
    )
    assert outcome.sent, outcome.output
    for name, count in before.items():
        assert len(received(server, f"{name}@example.com")) == count + 1
    assert "for the team" in received(server, "dave@example.com")[-1]


def test_lmtp_has_a_reply_for_each_recipient(server):
    port = int(LMTP.search((server.folder / "log").read_text())[1])
    with Client(port, "127.0.0.13", smtplib.LMTP) as client:
        client.smtp.mail("a@client.example")
        for rcpt in ("team@example.com", "carol@example.com"):
            assert client.smtp.rcpt(rcpt)[0] == 250
        client.smtp.putcmd("data")
        assert client.smtp.getreply()[0] == 354
        client.smtp.send(content(subject="spammy") + b".\r\n")
        replies = [client.smtp.getreply() for _ in range(2)]
        assert client.smtp.noop()[0] == 250
    assert [code for code, _ in replies] == [250, 554]
    assert replies[1][1].startswith(b"5.7.1 it is spam")
    assert "spammy" in received(server, "bob@example.com")[-1]
    assert received(server, "carol@example.com") == []


def test_recipients_come_from_databases(server):
    with Client(server.port, "127.0.0.14") as client:
        for domain in ("sql.example", "ldap.example"):
            assert client.rcpt(f"ann@{domain}").startswith("250 ")
            assert client.rcpt(f"bob@{domain}").startswith("550 5.1.1 ")
        assert client.rcpt("ann@elsewhere.example").startswith("550 5.7.1 Relaying denied")


def test_a_retry_is_not_greylisted(server):
    def reply():
        with Client(server.port, "127.0.0.15") as client:
            return client.rcpt("alice@example.com", "a@new.example")

    assert reply().startswith("450 4.7.1 Greylisted, try again in 1 second")
    assert eventually(lambda: reply().startswith("250 "))


def test_dns_lists_and_spf_decide(server):
    with Client(server.port, "127.0.0.20") as client:
        assert client.rcpt("alice@example.com").startswith(
            "550 5.7.1 127.0.0.20 is listed in bl.test"
        )
    with Client(server.port, "127.0.0.21") as client:
        assert client.rcpt("alice@example.com").startswith("250 ")
        assert client.rcpt("alice@example.com", "a@forged.example").startswith("550 5.7.23 ")


def test_the_limit_of_a_sender_is_exact_over_two_workers(server):
    def attempts(_number):
        replies = []
        for _ in range(10):  # a connection each, so that both workers get some
            with Client(server.port, "127.0.0.16") as client:
                replies.append(client.rcpt("alice@example.com", "fast@client.example")[:3])
        return replies

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        replies = [one for replies in threads.map(attempts, range(8)) for one in replies]
    assert sorted(replies) == ["250"] * 40 + ["450"] * 40


def test_bad_behaviour_is_remembered(server):
    with Client(server.port, "127.0.0.30") as client:
        for _ in range(3):
            assert client.rcpt("bob@sql.example").startswith("550 5.1.1 ")
        client.smtp.quit()

    def reply():
        with Client(server.port, "127.0.0.30") as client:
            client.smtp.ehlo("client.example")
            return str(client.smtp.docmd("MAIL", "FROM:<a@client.example>"))

    assert eventually(lambda: "has a bad reputation" in reply())


def test_the_verb_is_announced_and_answered(server):
    with Client(server.port, "127.0.0.17") as client:
        assert client.smtp.has_extn("xstatus")
        assert client.smtp.docmd("XSTATUS")[0] == 211


def test_decisions_are_logged(server):
    with Client(server.port, "127.0.0.18") as client:
        reply = client.send("1refused@open.example", content(body=GTUBE))
    [ref] = re.findall(r"\[(\S+)\]", reply)
    log = map(json.loads, (server.folder / "log").read_text().splitlines()[1:])
    [line] = [one for one in log if one.get("ref") == ref and one["event"] == "decision"]
    assert (line["plugin"], line["by"], line["hook"]) == ("decision_log", "rspamd_check", "message")
    asked = ["attachments", "clamd_scan", "dkim", "rate_limit", "rspamd_check"]
    assert list(line["times"]) == asked


def test_both_workers_write_metrics(server):
    def written():
        texts = [file.read_text() for file in (server.folder / "metrics").glob("*.prom")]
        found = {number for number in range(2) for text in texts if METRIC.format(number) in text}
        return found == {0, 1}

    assert eventually(written)
