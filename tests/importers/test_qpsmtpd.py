"""qpsmtpd's lines (in `logs`), written for these tests in the format of its built-in logging."""

import pytest
from tests.importers.read import dull, read, recipients, sample, survives

from gatepost.importers.qpsmtpd import QpsmtpdImporter
from gatepost.importers.transaction import Ending, Verdict

SESSION = sample("qpsmtpd")


def test_a_session_has_its_transactions():
    first, second = read(QpsmtpdImporter(), SESSION)
    assert recipients(first) == {"no@example.com": "unknown", "a@example.com": "accepted"}
    assert (first.client, first.name, first.helo) == (
        "192.0.2.1",
        "host.example.net",
        "helo.example.net",
    )
    assert (first.ending, first.verdict, first.score) == (Ending.REFUSED, Verdict.SPAM, 21.7)
    assert first.spf == "pass"
    assert recipients(second) == {"b@example.com": "deferred"}
    assert (second.sender, second.ending) == ("", Ending.ABANDONED)


@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        ("250 Queued! 1582362294 qp 813 <m@example.net>", Ending.ACCEPTED),
        ("451 Local error", Ending.DEFERRED),
        ("554 no", Ending.REFUSED),
    ],
)
def test_the_reply_to_the_content_is_the_end(reply, ending):
    text = SESSION.replace("552 we agree, no spam please (#5.6.1)", reply)
    assert read(QpsmtpdImporter(), text)[0].ending is ending


def test_rset_ends_a_transaction():
    at = SESSION.index("@400000005e50eec01c9c3814")
    rset = "@400000005e50eec01c9c3814 812 dispatching RSET\n@400000005e50eec01c9c3814 812 250 OK\n"
    found = read(QpsmtpdImporter(), SESSION[:at] + rset)
    assert [one.ending for one in found] == [Ending.ABANDONED]


def test_a_user_and_tls_are_found():
    at = SESSION.index("@400000005e50eec01c9c3807")
    stamp = "@400000005e50eec01c9c3806 812 "
    lines = ["dispatching STARTTLS", "220 Go ahead", "dispatching AUTH PLAIN x", "235 PLAIN ok"]
    text = SESSION[:at] + "".join(f"{stamp}{line}\n" for line in lines) + SESSION[at:]
    first = read(QpsmtpdImporter(), text)[0]
    assert (first.is_trusted, first.has_tls) == (True, True)


def test_the_file_plugin_and_syslog_are_read():
    body = [line.partition(" ")[2] for line in SESSION.strip().splitlines()]
    for start in ("Sat Feb 22 09:00:00 2020 ", "Feb 22 09:00:00 mx qpsmtpd[812]: "):
        assert len(read(QpsmtpdImporter(), "\n".join(start + line for line in body))) == 2


def test_a_process_that_serves_the_next_client_has_ended_the_last():
    text = SESSION.strip().rpartition("\n")[0] + "\n" + SESSION.strip().splitlines()[1]
    assert len(read(QpsmtpdImporter(), text)) == 2


def test_open_connections_are_bounded():
    importer = QpsmtpdImporter(2)
    line = SESSION.strip().splitlines()[1]
    read(importer, "\n".join(line.replace(" 812 ", f" {at} ") for at in range(5)))
    assert importer.dropped == 3


def test_a_huge_line_costs_no_more_than_its_length():
    start = SESSION.strip().splitlines()[1]
    importer = QpsmtpdImporter
    assert start
    pieces = ["dispatching ", "<", "Spam ", "Spam 1 ", "(a) ", "a:", "d=", "pass "]
    dull(importer, "@400000005e50eec01c9c3800 812 ", pieces)
    dull(importer, "@400000005e50eec01c9c3800 812 (data_post) spamassassin: ", pieces)


def test_the_next_sender_ends_a_transaction_and_a_refused_one_starts_none():
    at = SESSION.index("@400000005e50eec01c9c3814")
    stamp = "@400000005e50eec01c9c3814 812 "
    text = SESSION[:at] + f"{stamp}dispatching MAIL FROM:<t@example.net>\n{stamp}550 no\n"
    [found] = read(QpsmtpdImporter(), text)
    assert (found.sender, found.ending) == ("s@example.net", Ending.ABANDONED)


@pytest.mark.parametrize(
    ("plugin", "text", "verdict"),
    [
        ("virus::clamdscan", "fail, found virus Eicar-Signature", Verdict.SPAM),
        ("virus::clamav", "Virus(es) found: Eicar-Signature", Verdict.SPAM),
        ("virus::aveclient", "Virus found! (Eicar)", Verdict.SPAM),
        ("virus::clamdscan", "pass, clean", Verdict.NONE),
    ],
)
def test_a_virus_is_a_verdict(plugin, text, verdict):
    at = SESSION.index("@400000005e50eec11c9c3816")
    end = SESSION.index("@400000005e50eec11c9c3817")
    line = f"@400000005e50eec11c9c3816 812 (data_post) {plugin}: {text}\n"
    reply = SESSION[end:].replace("552 we agree, no spam please (#5.6.1)", "250 Queued!")
    assert read(QpsmtpdImporter(), SESSION[:at] + line + reply)[0].verdict is verdict


def test_a_valid_signature_is_found():
    at = SESSION.index("@400000005e50eec11c9c3816")
    line = "@400000005e50eec11c9c3816 812 (data_post) dkim: pass, d=Example.NET\n"
    assert read(QpsmtpdImporter(), SESSION[:at] + line + SESSION[at:])[0].dkim == ["example.net"]


test_any_lines_are_read_without_an_error = survives(QpsmtpdImporter, SESSION)
