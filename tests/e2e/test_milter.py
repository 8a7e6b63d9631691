"""Gatepost as the milter of a real Postfix, with the parameters of docs/milter.md."""

import json
import ssl

import pytest
from tests.e2e.milter import TRAPS, connected, filtered
from tests.e2e.server import eventually
from tests.net import authority
from tools import postfix

pytestmark = pytest.mark.skipif(bool(postfix.why_not()), reason=postfix.why_not() or "it runs")

OK, RCPT_OK, DATA_OK = "250 2.1.0 Ok", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>"
REFUSED = "554 5.7.1 Message refused by local policy"
TRAP, UNKNOWN_TRAP, FOREIGN_TRAP = TRAPS
GOOD = "alice@example.com"

PLUGIN = """
from gatepost import Plugin, accept, defer, deny

class Edits(Plugin):
    def on_rcpt(self, tx, rcpt):
        if rcpt.user == "bob":
            return deny("100% not\\nin two lines", reason="bob")
        if rcpt.user == "carol":
            tx.replace_recipient(rcpt, ["dave@example.com"])

    def on_message(self, tx):
        message, helo = tx.message, tx.session.helo
        if helo == "fields":
            message.add_header("X-First", "1")
            message.add_header("X-Last", "2", first=False)
            message.replace_header("Subject", "a new subject that is long enough to be folded by"
                " the server at the usual place")
            message.remove_header("X-Del", lambda value: value != "keep")
            message.remove_header("Received", lambda value: "second" in value)
        if helo == "body":
            message.replace_body(b"new\\r\\n.dot\\r\\n" + b"line\\r\\n" * 20000)
        if helo == "journal":
            tx.add_recipient("dave@example.com")
        if helo == "sender":
            tx.change_sender("new@example.org", tx.recipients)
        if helo == "hold":
            tx.quarantine("looks bad")
        if helo == "refuse":
            return deny("no\\nnever", reason="no")
        if helo == "defer":
            return defer("later", reason="later")

    def on_deliver(self, tx):
        if tx.session.helo == "take":
            return accept()

    def after_rcpt(self, tx, rcpt, outcome):
        self.log.info("rcpt seen", rcpt=str(rcpt.address), mta=str(rcpt.mta_reply or ""))
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    certificates = tmp_path_factory.mktemp("certificates")
    cert, key = map(str, authority.write(certificates, "127.0.0.1"))
    tls = {
        "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": cert,
        "smtpd_tls_key_file": key,
    }
    log = '[log]\nformat = "json"\n'
    with filtered(tmp_path_factory.mktemp("milter"), PLUGIN, extra=log, main=tls) as both:
        yield both


@pytest.fixture
def mail(running):
    return running[1]


def log(running, event):
    """Return the lines of an event in Gatepost's log."""
    lines = (running[0].folder / "log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [one for one in found if one["event"] == event]


def test_a_trap_refuses_at_data_until_the_transaction_ends(mail):
    with connected(mail) as client:
        assert client.envelope(TRAP, GOOD) == [OK, RCPT_OK, RCPT_OK]
        assert client.exchange("DATA", "DATA") == [REFUSED, REFUSED]
        assert client.exchange(f"RCPT TO:<{GOOD}>", "DATA") == [REFUSED, REFUSED]
        client.exchange("RSET")
        assert [*client.envelope(GOOD), *client.exchange("DATA")] == [OK, RCPT_OK, DATA_OK]
        assert client.content("Subject: after reset\n\nx").startswith("250 ")


def test_a_trap_that_is_unknown_to_postfix_refuses_the_message(mail):
    with connected(mail) as client:
        replies = client.envelope(UNKNOWN_TRAP, GOOD)
        assert replies[1].startswith("550 5.1.1 ")
        assert client.exchange("DATA") == [REFUSED]


def test_only_a_trap_that_is_unknown_to_postfix_is_recorded(running):
    with connected(running[1], "only-trap.example") as client:
        client.envelope(UNKNOWN_TRAP)
        assert client.exchange("DATA") == ["554 5.5.1 Error: no valid recipients"]
        client.exchange("QUIT")
    [refused] = eventually(
        lambda: [one for one in log(running, "refused") if one["helo"] == "only-trap.example"]
    )
    assert UNKNOWN_TRAP in str(refused["traps"])


def test_a_trap_refuses_with_chunking(mail):
    with connected(mail) as client:
        client.envelope(UNKNOWN_TRAP, GOOD)
        client.send(b"BDAT 6 LAST\r\nabcdef")
        assert client._plain(*client.getreply()) == REFUSED


def test_a_trap_of_another_domain_is_none_if_postfix_does_not_relay(mail):
    with connected(mail) as client:
        replies = client.envelope(FOREIGN_TRAP, GOOD)
        assert replies[1].startswith("554 5.7.1 ")
        assert client.exchange("DATA") == [DATA_OK]
        assert client.content("Subject: relay\n\nx").startswith("250 ")


def test_a_refusal_has_its_lines_and_a_percent_sign(mail):
    with connected(mail) as client:
        assert client.envelope("bob@example.com", GOOD) == [
            *(OK, "550 5.7.1 100% not\n5.7.1 in two lines", RCPT_OK),
        ]


@pytest.mark.parametrize(
    ("helo", "reply"), [("refuse", "554 5.7.1 no\n5.7.1 never"), ("defer", "451 4.7.1 later")]
)
def test_a_message_is_refused_at_its_end(mail, helo, reply):
    with connected(mail, helo) as client:
        client.envelope(GOOD)
        client.exchange("DATA")
        assert client.content("Subject: refused\n\nx") == reply


def delivered(mail, helo, text, to=GOOD, copy_of=None):
    """Send a message; return the delivered copy of a recipient from its first own field on."""
    with connected(mail, helo) as client:
        client.envelope(to)
        client.exchange("DATA")
        assert client.content(text).startswith("250 ")
    marker = f"from {helo} ".encode()
    found = eventually(
        lambda: [one for one in mail.mails(copy_of or to) if marker in one and _subject(text, one)]
    )
    return found[0]


def _subject(text, one):
    return text.partition("\n\n")[2].split("\n")[-1].encode() in one or b"line\nline\n" in one


def test_fields_are_changed_and_everything_else_stays(mail):
    text = (
        "Received: from first\nSubject: old\n\tfolded\nX-Del: one\nReceived: from second\n"
        "X-Del: keep\nX-Empty:\nx-del: three\nX-Tab:\tvalue  \n\nfields body"
    )
    found = delivered(mail, "fields", text)
    front, _, rest = found.partition(b"X-First: 1\n")
    assert b"Received: from fields" in rest  # the field of Postfix is below those of the milter
    _, _, rest = rest.partition(b"+0000 (UTC)\n")
    assert rest == (
        b"Received: from first\n"
        b"Subject: a new subject that is long enough to be folded by the server at the\n"
        b" usual place\n"
        b"X-Del: keep\nX-Empty:\nX-Tab:\tvalue  \nX-Last: 2\n\nfields body\n"
    )
    assert b"X-First" not in front


def test_a_body_is_replaced(mail):
    found = delivered(mail, "body", "Subject: body\n\nold")
    assert found.endswith(b"Subject: body\n\nnew\n.dot\n" + b"line\n" * 20000)


def test_recipients_are_added_and_replaced(mail):
    delivered(mail, "journal", "Subject: j\n\njournal text", copy_of="dave@example.com")
    delivered(mail, "alias", "Subject: a\n\nalias text", "carol@example.com", "dave@example.com")
    assert mail.mails("carol@example.com") == []


def test_the_sender_is_changed(mail):
    found = delivered(mail, "sender", "Subject: s\n\nsender text")
    assert b"Return-Path: <new@example.org>\n" in found


def test_a_quarantined_message_is_in_the_hold_queue_of_postfix(mail):
    with connected(mail, "hold") as client:
        client.envelope(GOOD)
        client.exchange("DATA")
        assert client.content("Subject: hold\n\nx").startswith("250 ")
    assert [file for file in (mail.folder / "queue/hold").rglob("*") if file.is_file()]


def test_a_message_that_a_plugin_takes_is_not_delivered(mail):
    with connected(mail, "take") as client:
        client.envelope(GOOD)
        client.exchange("DATA")
        assert client.content("Subject: take\n\ntaken text").startswith("250 ")
    eventually(mail.is_idle)
    assert not [one for one in mail.delivered() if b"taken text" in one]


def test_a_nul_is_refused(mail):
    with connected(mail) as client:
        client.envelope(GOOD)
        client.exchange("DATA")
        assert client.content("Subject: x\n\na\0b").startswith("550 5.6.0 ")


def test_the_queue_id_and_the_reference_link_both_logs(running):
    _, mail = running
    with connected(mail, "linked") as client:
        client.envelope(GOOD)
        client.exchange("DATA")
        queue_id = client.content("Subject: linked\n\nx").split()[-1]
        client.envelope("bob@example.com")
        client.exchange("QUIT")
    lines = eventually(lambda: [one for one in log(running, "accepted") if one["helo"] == "linked"])
    assert lines[0]["queue_id"] == queue_id
    [refused] = eventually(
        lambda: [one for one in log(running, "refused") if one["helo"] == "linked"]
    )
    eventually(lambda: f"[{refused['ref']}]" in mail.log())


def test_several_clients_at_once_have_sessions_of_their_own(mail):
    with connected(mail, "one") as one, connected(mail, "two") as two, connected(mail) as three:
        one.envelope(TRAP, GOOD)
        assert two.envelope(GOOD) == [OK, RCPT_OK]
        three.envelope(UNKNOWN_TRAP)
        assert [two.exchange("DATA"), one.exchange("DATA")] == [[DATA_OK], [REFUSED]]
        assert two.content("Subject: two\n\nx").startswith("250 ")


def test_tls_is_known_after_starttls(running):
    with connected(running[1], "before-tls") as client:
        client.starttls(context=ssl._create_unverified_context())
        client.ehlo("after-tls")
        client.envelope(GOOD)
        client.exchange("DATA")
        assert client.content("Subject: tls\n\nx").startswith("250 ")
    [line] = eventually(
        lambda: [one for one in log(running, "accepted") if one["helo"] == "after-tls"]
    )
    assert line["tls"] == "TLSv1.3"
