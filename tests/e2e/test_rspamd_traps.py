"""A real rspamd that refuses messages to the traps of Gatepost, as docs/rspamd.md describes."""

import json
import subprocess
import urllib.request

import pytest
from tests.docs.pages import blocks
from tests.e2e.server import GATEPOST
from tools import rspamd

CONFIG = """\
[[listen]]
[recipients]
domains = ["example.com"]
[traps]
lists = ["traps"]
[[route]]
to = "discard:"
"""
TRAPS = "trap@example.com\n@trapped.example.com\nt.r-ap@example.com\nsoft@example.com class=typo\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if reason := rspamd.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("rspamd")
    (folder / "gatepost.toml").write_text(CONFIG)
    (folder / "traps").write_text(TRAPS)
    command = [GATEPOST, "traps", "export", "--format", "rspamd", "-c", folder / "gatepost.toml"]
    exported = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "soft@example.com is not exported" in exported.stderr
    (folder / "traps.map").write_text(exported.stdout)
    (settings,) = blocks("rspamd", "ucl")
    settings = settings.replace("/etc/rspamd/traps.map", str(folder / "traps.map"))
    # The local network is the only one here.
    extra = f"spamtrap {{\n{settings}check_local = true;\n}}\n"
    with rspamd.running(folder, extra=extra, modules=("spamtrap",)) as running:
        yield running


def action(server, *recipients):
    request = urllib.request.Request(server.url, b"Subject: x\r\n\r\ntext\r\n")
    # urllib keeps one field of a name; rspamd reads a list of addresses too
    request.add_header("Rcpt", ",".join(recipients))
    request.add_header("From", "sender@client.example")
    request.add_header("IP", "192.0.2.7")
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)
    return found["action"], found.get("messages", {}).get("smtp_message", "")


REJECT = ("reject", "5.7.1 Message refused by local policy")


@pytest.mark.parametrize(
    "recipients",
    [
        ["trap@example.com"],
        ["TRAP+tag@Example.com"],
        ["alice@example.com", "trap@example.com", "bob@example.com"],
        ["any@trapped.example.com"],
        ["t.r-ap@example.com"],
    ],
)
def test_a_trap_refuses_the_message(server, recipients):
    assert action(server, *recipients) == REJECT


@pytest.mark.parametrize(
    "recipients",
    [
        ["alice@example.com"],
        ["alice@example.com", "bob@example.com"],
        ["trap@example.com.example"],
        ["xtrap@example.com"],
        ["postmaster@trapped.example.com"],
        ["txr-ap@example.com"],
        ["soft@example.com"],
    ],
)
def test_other_recipients_do_not(server, recipients):
    assert action(server, *recipients)[0] == "no action"
