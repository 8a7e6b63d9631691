"""The real qpsmtpd and Haraka, and Gatepost with their configuration: the same decisions."""

import pytest
from tests.e2e.server import eventually
from tests.migration import running
from tests.migration.made import write_files
from tools import peers

from gatepost.checks.report import make_report
from gatepost.migration.folder import write
from gatepost.migration.haraka import reading as haraka
from gatepost.migration.qpsmtpd import reading as qpsmtpd

STRANGER, RELAY, EXCLUDED = "127.0.0.2", "127.0.0.3", "127.0.0.4"
GOOD, SPAM = "a@client.example", "spam@bad.example"

TRAP_PLUGIN = """\
sub hook_rcpt {
  my ($self, $transaction, $recipient) = @_;
  my $address = lc($recipient->user . '@' . $recipient->host);
  $transaction->notes('trap', 1) if grep { lc $_ eq $address } $self->qp->config('verybadrcptto');
  return DECLINED;
}
sub hook_data {
  my ($self, $transaction) = @_;
  return $transaction->notes('trap') ? (DENY, "no spam") : DECLINED;
}
1;
"""
QPSMTPD = {
    "config/plugins": """\
check_verybadrcptto
relay
badmailfrom
badrcptto
rcpt_ok
queue/maildir {folder}/mail %d/%l
""",
    "config/me": "mx.example.com\n",
    "config/rcpthosts": "example.com\n.sub.example.com\n",
    "config/verybadrcptto": "Trap@example.com on the page\ntrap2@example.com\n",
    "config/badrcptto": "old@example.com\n@gone.sub.example.com\n^x[0-9]+@example\\.com$ no\n",
    "config/badmailfrom": "spam@bad.example\n@bad2.example\n",
    "config/relayclients": "127.0.0.3\n127.0.0.4\n",
    "config/norelayclients": "127.0.0.4\n",
    "config/spool_dir": "{folder}/tmp\n",
    "config/plugin_dirs": "{plugins}\n{folder}/plugins\n",
    "config/loglevel": "4\n",
    "plugins/check_verybadrcptto": TRAP_PLUGIN,
    "tmp/.keep": "",
}
DIALOGUES = [
    (STRANGER, GOOD, ["ann@example.com"], ["354"]),
    (STRANGER, GOOD, ["ann@a.sub.example.com", "ann@sub.example.com"], ["354", "rcpt"]),
    (STRANGER, GOOD, ["x@other.example", "ann@mx.example.com"], ["rcpt", "354"]),
    (STRANGER, GOOD, ["ann@example.com", "trap2@example.com"], ["data", "data"]),
    (STRANGER, GOOD, ["TRAP2@Example.COM"], ["data"]),
    (STRANGER, "", ["trap2@example.com", "ann@example.com"], ["data", "data"]),
    (STRANGER, GOOD, ["old@example.com", "ann@example.com"], ["rcpt", "354"]),
    (STRANGER, GOOD, ["x17@example.com", "x@gone.sub.example.com"], ["rcpt", "rcpt"]),
    (STRANGER, GOOD, ["x@example.com", "x17x@example.com"], ["354", "354"]),
    (STRANGER, SPAM, ["ann@example.com"], ["rcpt"]),
    (STRANGER, "x@bad2.example", ["ann@example.com"], ["rcpt"]),
    (STRANGER, "x@sub.bad2.example", ["ann@example.com"], ["354"]),
    (RELAY, GOOD, ["x@other.example"], ["354"]),
    (RELAY, SPAM, ["ann@example.com"], ["354"]),
    (EXCLUDED, GOOD, ["x@other.example"], ["rcpt"]),
]
HARAKA = {
    "config/plugins": "relay\naccess\nrcpt_to.in_host_list\nqueue/discard\n",
    "config/me": "mx.example.com\n",
    "config/host_list": "example.com\n",
    "config/host_list_regex": ".*\\.sub\\.example\\.com\n",
    "config/relay.ini": "[relay]\nacl=true\n",
    "config/relay_acl_allow": "127.0.0.3/32\n",
    "config/mail_from.access.blacklist": "spam@bad.example\n",
    "config/mail_from.access.blacklist_regex": ".*@bad2\\.example\n",
    "config/rcpt_to.access.blacklist": "old@example.com\n",
    "config/rcpt_to.access.blacklist_regex": "x[0-9]+@example\\.com\n",
    "config/log.ini": "level=warn\n",
}
HARAKA_DIALOGUES = [
    (STRANGER, GOOD, ["ann@example.com", "ANN@Example.COM"], ["354", "354"]),
    (STRANGER, GOOD, ["ann@a.sub.example.com", "x@other.example"], ["354", "rcpt"]),
    (
        STRANGER,
        GOOD,
        ["old@example.com", "x17@example.com", "x@example.com"],
        ["rcpt", "rcpt", "354"],
    ),
    (STRANGER, SPAM, ["ann@example.com"], ["rcpt"]),
    (STRANGER, "x@bad2.example", ["ann@example.com"], ["rcpt"]),
]


def why_not(*names):
    missing = peers.missing(names)
    if missing:
        pytest.skip("; ".join(missing.values()))


def folder_of(tmp_path, files):
    folder = tmp_path / "theirs"
    plugins = peers.ROOT / "qpsmtpd/usr/share/qpsmtpd/plugins"
    filled = {
        name: text.replace("{folder}", str(folder)).replace("{plugins}", str(plugins))
        for name, text in files.items()
    }
    return write_files(folder, filled)


def ask(port, dialogues):
    return [running.outcomes(port, *dialogue[:3]) for dialogue in dialogues]


def imported(job, tmp_path):
    write(job.draft, tmp_path / "mail", "Made by a test.")
    assert make_report(tmp_path / "mail/gatepost.toml").errors == []
    return tmp_path / "mail"


def expected(dialogues):
    return [dialogue[3] for dialogue in dialogues]


def test_gatepost_decides_as_qpsmtpd_with_its_configuration(tmp_path):
    why_not("qpsmtpd", "net-ip")
    theirs = folder_of(tmp_path, QPSMTPD)
    with running.qpsmtpd(theirs) as port:
        assert ask(port, DIALOGUES) == expected(DIALOGUES)
    ours = imported(qpsmtpd.read(theirs, tmp_path), tmp_path)
    with running.gatepost(ours) as port:
        assert ask(port, DIALOGUES) == expected(DIALOGUES)
        running.send(port, GOOD, "ann@example.com")
        (mail,) = eventually(lambda: list(theirs.glob("mail/example.com/ann/new/*")))
    assert running.CONTENT in mail.read_bytes()


def test_gatepost_decides_as_haraka_with_its_configuration(tmp_path):
    why_not("haraka")
    theirs = folder_of(tmp_path, HARAKA)
    with running.haraka(theirs) as port:
        assert ask(port, HARAKA_DIALOGUES) == expected(HARAKA_DIALOGUES)
    ours = imported(haraka.read(theirs), tmp_path)
    with running.gatepost(ours) as port:
        assert ask(port, HARAKA_DIALOGUES) == expected(HARAKA_DIALOGUES)


def test_the_sample_of_qpsmtpd_is_served(tmp_path):
    why_not("qpsmtpd")
    sample = peers.ROOT / "qpsmtpd/etc/qpsmtpd"
    job = qpsmtpd.read(sample, tmp_path)
    ours = imported(job, tmp_path)
    with running.gatepost(ours) as port:
        running.send(port, GOOD, "ann@localhost")
        assert eventually(lambda: list(ours.glob("var/mail/localhost/ann/new/*")))


def test_the_sample_of_haraka_is_served(tmp_path):
    why_not("haraka")
    job = haraka.read(peers.ROOT / "haraka/node_modules/Haraka")
    assert [one.keys["address"] for one in job.draft.listen] == ["0.0.0.0:25", "[::]:25"]
    del job.draft.listen[1]  # one address, which the test replaces
    job.draft.plugins.clear()  # no question to the DNS
    job.draft.routes[0].keys = {"for": ["*"], "to": "file:mail"}
    ours = imported(job, tmp_path)
    with running.gatepost(ours) as port:
        running.send(port, GOOD, "ann@haraka.local")
        assert running.outcomes(port, STRANGER, GOOD, ["x@other.example"]) == ["rcpt"]
        assert eventually(lambda: [one for one in ours.glob("mail/*") if one.is_file()])
