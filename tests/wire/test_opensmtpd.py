"""The codec of OpenSMTPD's filter protocol: lines as OpenSMTPD 6.8 writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.opensmtpd import REGISTRATION, Ask, Filter, Gone, result

SESSION = "46b9dc7839d23ba7"
CONNECT = f"report|0.6|1796067153.2|smtp-in|link-connect|{SESSION}|mx.example|pass|"
FACTS = {
    "request": "smtpd_access_policy",
    "instance": f"{SESSION}.0",
    "client_address": "192.0.2.7",
    "client_port": "36542",
    "server_address": "192.0.2.25",
    "server_port": "25",
}


def asked(phase, value="", token="t1", version="0.6"):
    return f"filter|{version}|1796067153.2|smtp-in|{phase}|{SESSION}|{token}|{value}"


def noted(event, value, version="0.6"):
    return f"report|{version}|1796067153.2|smtp-in|{event}|{SESSION}|{value}"


@pytest.fixture
def connected():
    found = Filter()
    assert found.read(CONNECT + "192.0.2.7:36542|192.0.2.25:25") is None
    return found


def test_only_the_envelope_is_asked_for():
    assert "register|filter|smtp-in|rcpt-to\n" in REGISTRATION
    assert REGISTRATION.endswith("register|ready\n")
    assert "data-line" not in REGISTRATION


def test_the_connection_has_the_addresses_of_the_report(connected):
    ask = connected.read(asked("connect", "localhost|192.0.2.7"))
    assert ask == Ask(SESSION, "t1", {**FACTS, "protocol_state": "CONNECT"})


def test_a_transaction_collects_what_the_client_has_sent(connected):
    connected.read(asked("ehlo", "client.example"))
    mail = connected.read(asked("mail-from", "a@client.example"))
    assert mail.attributes == {
        **FACTS,
        "protocol_state": "MAIL",
        "helo_name": "client.example",
        "protocol_name": "ESMTP",
        "instance": f"{SESSION}.1",
        "sender": "a@client.example",
        "recipient": "",
    }
    rcpt = connected.read(asked("rcpt-to", "one|two@example.com"))
    assert rcpt.attributes["recipient"] == "one|two@example.com"
    data = connected.read(asked("data"))
    assert data.attributes["protocol_state"] == "DATA"
    assert data.attributes["recipient"] == "one|two@example.com"


def test_data_names_a_recipient_only_if_there_is_one(connected):
    for line in (
        asked("mail-from", "a@b.example"),
        asked("rcpt-to", "c@d"),
        asked("rcpt-to", "e@f"),
    ):
        connected.read(line)
    assert connected.read(asked("data")).attributes["recipient"] == ""


def test_each_mail_begins_a_transaction(connected):
    first = connected.read(asked("mail-from", "a@b.example"))
    second = connected.read(asked("mail-from", ""))
    assert first.attributes["instance"] != second.attributes["instance"]
    assert second.attributes["sender"] == ""


def test_helo_is_smtp(connected):
    assert connected.read(asked("helo", "x")).attributes["protocol_name"] == "SMTP"


@pytest.mark.parametrize(
    ("event", "value", "version", "expected"),
    [
        ("link-auth", "joe|pass", "0.6", ("sasl_username", "joe")),
        ("link-auth", "j|oe|pass", "0.5", ("sasl_username", "j|oe")),
        ("link-auth", "pass|j|oe", "0.7", ("sasl_username", "j|oe")),
        ("link-auth", "joe|fail", "0.6", ("sasl_username", None)),
        ("link-auth", "fail|joe", "0.7", ("sasl_username", None)),
        ("link-auth", "pass|fail", "0.7", ("sasl_username", None)),
        ("link-auth", "fail|pass", "0.6", ("sasl_username", None)),
        ("link-tls", "version=TLSv1.3, cipher=X, bits=256", "0.6", ("encryption_cipher", "X")),
        ("link-tls", "TLSv1.3:X:256", "0.7", ("encryption_protocol", "TLSv1.3")),
        ("link-tls", "TLSv1.3:X:256", "0.7", ("encryption_cipher", "X")),
        (
            "link-connect",
            "h|pass|unix:/x|[2001:db8::1]:25",
            "0.6",
            ("server_address", "2001:db8::1"),
        ),
        ("link-connect", "h|pass|unix:/x|[::1]:25", "0.6", ("client_address", "192.0.2.7")),
        ("link-connect", "", "0.6", ("client_address", "192.0.2.7")),
    ],
)
def test_reports_add_facts(connected, event, value, version, expected):
    assert connected.read(noted(event, value, version)) is None
    name, fact = expected
    assert connected.read(asked("ehlo", "x", version=version)).attributes.get(name) == fact


def test_the_end_of_a_session_drops_its_facts(connected):
    connected.read(asked("mail-from", "a@b.example"))
    assert connected.read(noted("link-disconnect", "")) == Gone(SESSION)
    assert len(connected) == 0
    again = connected.read(asked("mail-from", "a@b.example"))
    assert "client_address" not in again.attributes


@pytest.mark.parametrize(
    "line",
    [
        "",
        "config|ready",
        "filter|0.6|1|smtp-out|connect|s|t|x",
        "filter|0.6|1|smtp-in|commit|s|t|",
        "filter|0.6|1|smtp-in|connect||t|",
        "filter|0.6|1|smtp-in|connect|s||",
        "report|0.6|1|smtp-in|tx-reset|s|m",
        "other|0.6|1|smtp-in|connect|s|t|x",
    ],
)
def test_other_lines_are_ignored(line):
    assert Filter().read(line) is None


@pytest.mark.parametrize(
    ("action", "decision"),
    [
        ("DUNNO", "proceed"),
        ("OK", "proceed"),
        ("", "proceed"),
        ("554 5.7.1 No", "reject|554 5.7.1 No"),
        ("450 Later", "reject|450 Later"),
        ("421 Bye", "disconnect|421 Bye"),
    ],
)
def test_the_answer_goes_to_the_request(action, decision):
    assert result(Ask("s", "t", {}), action) == f"filter-result|s|t|{decision}\n"


WORDS = st.sampled_from(
    ["filter", "report", "0.6", "0.7", "1", "smtp-in", "rcpt-to", "mail-from", "link-auth", "s", ""]
)


@given(st.lists(st.lists(WORDS | st.text(max_size=5), max_size=9).map("|".join), max_size=20))
def test_any_lines_are_read(lines):
    found = Filter()
    for line in lines:
        answer = found.read(line)
        assert answer is None or isinstance(answer, Ask | Gone)
