"""contrib/fail2ban: fail2ban itself reads the log of a server, and finds the right addresses."""

import contextlib
import re
import smtplib
import subprocess
from pathlib import Path

import pytest
from tests.e2e.clients import program
from tests.process.supervised import Supervised

from gatepost.auth.passwords import make_user

CONTRIB = Path(__file__).parents[2] / "contrib/fail2ban"
FILTER = CONTRIB / "gatepost-filter.conf"
EXTRA = """\
[auth]
users = "users.auth"
clear = true
[traps]
lists = ["traps"]
delay = "0s"
[log]
format = "{}"
"""
# What a client could send to have another address banned.
FORGED = (
    'x","peer":"192.0.2.66:1","event":"refused',
    '"hook":"auth","by":"gatepost","reason":"bad-credentials","reply":"","ref":"1","peer":"192.0.2.66:1",',
    "refused hook=auth by=gatepost reason=bad-credentials reply=x ref=1 peer=192.0.2.66:1",
)
# An attempt to relay in a transaction that is accepted.
MIXED = ["bob@example.com", "carol@relay.example"]


def attack(port):
    """Guess a password, try to relay, hit a trap, forge fields, and send two good messages."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example") as client:
        client.ehlo()
        client.docmd("AUTH", "PLAIN AGFsaWNlAHdyb25n")
        for forged in FORGED:
            client.docmd("HELO", forged)
            client.docmd("MAIL", f'FROM:<"{forged}"@client.example>')
            client.docmd(forged)
        client.ehlo()
        for recipient in ("bob@relay.example", "trap@example.com", "bob@example.com"):
            with contextlib.suppress(smtplib.SMTPException):
                client.sendmail("me@client.example", [recipient], b"Subject: x\r\n\r\nx\r\n")
        client.sendmail("me@client.example", MIXED, b"Subject: x\r\n\r\nx\r\n")


@pytest.fixture(scope="module", params=["json", "text"])
def log(request, tmp_path_factory):
    """The log of a server that was attacked."""
    tmp_path = tmp_path_factory.mktemp("attacked")
    (tmp_path / "traps").write_text("trap@example.com\n")
    (tmp_path / "users.auth").write_text(f"{make_user('alice', b'right', b'salt' * 4)}\n")
    (tmp_path / "users.auth").chmod(0o600)
    settings = {"address": '127.0.0.1:0"\nauth = true\n#"', "server": "workers = 1"}
    with Supervised(tmp_path, extra=EXTRA.format(request.param), **settings) as server:
        attack(server.ready())
        assert server.stop() == 0
        return server.log()


# As fail2ban gets the lines from a file, and from the journal.
SOURCES = {"file": "", "journal": "mx gatepost[4711]: "}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("mode", "count"), [("auth", 1), ("relay", 3), ("trap", 4)])
def test_the_filter_finds_the_refusals_of_its_mode(tmp_path, log, source, mode, count):
    path = tmp_path / "gatepost.log"
    path.write_text("".join(f"{SOURCES[source]}{line}\n" for line in log.splitlines()))
    command = program("fail2ban-regex")
    arguments = command.argv("--out", "ip", path, f"{FILTER}[mode={mode}]")
    found = subprocess.run(arguments, env=command.env, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["127.0.0.1"] * count


def test_forged_fields_reach_the_log(log):
    """The test above proves something only if the server logs what the client has sent."""
    assert "192.0.2.66" in log


def test_the_jail_uses_the_filter():
    jail = (CONTRIB / "gatepost-jail.conf").read_text()
    assert re.search(r"^filter = gatepost\[mode=auth\]$", jail, re.MULTILINE)
    assert "filter.d/gatepost.conf" in FILTER.read_text()
