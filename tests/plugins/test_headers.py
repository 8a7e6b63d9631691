"""Rules about header fields: their presence, their form, and whose names they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.mails import DOMAINS, LOGIN_CONFIG, RELAY_CONFIG, RELAY_PEER, Login, transcript

from gatepost import Address, Plugin, Results
from gatepost.plugins import _suffixes
from gatepost.plugins._header_rules import MOST_ADDRESSES, RULES, Examined, Surroundings
from gatepost.plugins.headers import Headers
from gatepost.testing import play

GOOD = {
    "Date": "Mon, 01 Jan 2024 00:00:00 +0000",
    "From": "Ann <a@client.example>",
    "Message-ID": "<1@client.example>",
    "Subject": "x",
}
# The rules that are off by default.
OFF = ("message_id_malformed", "envelope_differs", "sender_differs", "reply_to_differs")
OWN = "Ann <a@Example.com>"


class Others(Plugin):
    """Stands for spf, dkim and dmarc, and keeps the result of `headers`."""

    after = frozenset({"dmarc"})

    def __init__(self, *results):
        super().__init__()
        self.results = results

    def on_headers(self, tx, headers):
        for name, value, domain in self.results:
            tx.results.add(name, value, domain=domain)

    def after_message(self, tx, outcome):
        self.result = tx.results.get("headers")


def lines_of(changes):
    """The lines of a good header with changed fields; None removes a field."""
    fields = {**GOOD, **changes}
    values = ((name, value) for name, value in fields.items() if value is not None)
    return [*(f"{name}: {value}" for name, value in values), "", "text"]


def found(changes, *results, sender="a@client.example", **options):
    others = Others(*results)
    script = transcript(lines_of(changes), sender=sender)
    play(script, [Headers(**options), others], config=DOMAINS)
    return others.result


def test_a_good_message_passes():
    result = found({})
    assert (result.value, result.score, result.facts["findings"]) == ("pass", 0, "")


CASES = {
    "missing": {"Date": None},
    "repeated": {"subject": "again"},
    "long_line": {"X": "y" * 996},
    "date_malformed": {"Date": "yesterday"},
    "date_old": {"Date": "Fri, 15 Dec 2023 00:00:00 +0000"},
    "date_future": {"Date": "Thu, 4 Jan 2024 00:00 +0000"},
    "message_id_missing": {"Message-ID": None},
    "message_id_malformed": {"Message-ID": "<1>"},
    "from_malformed": {"From": "Ann"},
    "from_several": {"From": "a@client.example, b@client.example"},
    "from_own": {"From": OWN},
    "name_own": {"From": '"boss@mail.example.com" <a@client.example>'},
    "name_address": {"From": '"bank@bank.example" <a@client.example>'},
    "sender_differs": {"Sender": "a@other.example"},
    "reply_to_differs": {"Reply-To": "a@client.example, a@other.example"},
    "unwanted": {"Bad": "x"},
}
ALL = {"forbidden": ["bad"], **dict.fromkeys(OFF, 1)}


@pytest.mark.parametrize("finding", CASES)
def test_each_rule_has_a_finding(finding):
    sender = "a@example.com" if finding == "from_own" else "a@client.example"
    result = found(CASES[finding], sender=sender, **{**ALL, "unwanted": 2})
    assert (result.value, result.facts["findings"]) == (finding, finding)
    assert result.score == (1 if finding in OFF else getattr(Headers.Options(), finding).score or 2)


def test_every_rule_is_tested_and_has_an_option():
    assert {*CASES, "envelope_differs"} == set(RULES)
    options = {name for name in RULES if hasattr(Headers.Options(), name)}
    assert options == set(RULES)


def test_the_sender_of_the_envelope_can_differ():
    result = found({}, sender="a@other.example", envelope_differs=1)
    assert (result.value, result.facts["detail"]) == ("envelope_differs", "other.example")
    assert found({}, sender="a@bounces.client.example", envelope_differs=1).value == "pass"
    assert found({}, sender="", envelope_differs=1).value == "pass"
    assert found({"From": None}, sender="a@other.example", envelope_differs=1).value == "missing"


@pytest.mark.parametrize("finding", OFF)
def test_rules_that_are_off_find_nothing(finding):
    assert found(CASES.get(finding, {})).value == "pass"


@pytest.mark.parametrize("finding", CASES)
def test_each_rule_can_refuse_and_defer(finding):
    for word, reply in (("deny", "554 5.7.1 *"), ("defer", "451 4.7.1 *")):
        script = transcript(lines_of(CASES[finding]), end=f"S: {reply}")
        played = play(script, [Headers(**{**ALL, finding: word})], config=DOMAINS)
        assert [(one.hook, one.reason) for one in played.decisions] == [("message", finding)]
        assert played.metrics.value("gatepost_plugin_headers_found", finding=finding) == 1


def test_the_reply_names_what_was_found():
    script = transcript(lines_of({"Date": None}), end="S: 554 5.7.1 Header field is missing: Date*")
    play(script, [Headers(missing="deny")], config=DOMAINS)


def test_points_of_several_findings_are_added_up():
    result = found({"Date": None, "Message-ID": None})
    assert (result.facts["findings"], result.score) == ("missing message_id_missing", 3)


@pytest.mark.parametrize(
    ("results", "value"),
    [
        ([("spf", "pass", "mail.example.com")], "pass"),
        ([("dkim", "fail", "example.com"), ("dkim", "pass", "example.com")], "pass"),
        ([("dmarc", "pass", "example.com")], "pass"),
        ([("spf", "pass", "client.example"), ("dkim", "fail", "example.com")], "from_own"),
        ([("spf", "pass", "")], "from_own"),
        ([("dmarc", "fail", "example.com")], "from_own"),
    ],
)
def test_the_own_domain_must_be_authenticated(results, value):
    assert found({"From": OWN}, *results).value == value


def test_the_own_domain_passes_after_a_trusted_forwarder():
    class Forwarded(Plugin):
        after = frozenset({"dmarc"})

        def on_headers(self, tx, headers):
            tx.results.add("dmarc", "fail", override="trusted forwarder (ARC)")

    plugins = [Headers(from_own="deny"), Forwarded()]
    assert play(transcript(lines_of({"From": OWN})), plugins, config=DOMAINS).decisions == []


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?b?Ym9zc0BleGFtcGxlLmNvbQ==?=",
        "=?utf-8?q?boss=40ex?= =?utf-8?q?ample=2Ecom?=",
        "boss\uff20example.com",
        "bo\u200bss@exam\u200bple.com",
        "example.com Support",
        '"IT \\"help@EXAMPLE.com\\""',
    ],
)
def test_names_are_compared_as_people_see_them(name):
    result = found({"From": f"{name} <a@client.example>"})
    assert (result.value, result.facts["detail"].lower()) == ("name_own", "example.com")


@pytest.mark.parametrize(
    "name", ["a@client.example", "b@mail.client.example", "Dr. A.B. Smith", "v1.2.3", ""]
)
def test_names_without_another_address_pass(name):
    assert found({"From": f'"{name}" <a@client.example>'}).value == "pass"


def test_only_domains_with_an_at_are_addresses():
    assert found({"From": '"Shop.example" <a@client.example>'}).value == "pass"


def test_mail_of_an_authenticated_client_is_not_checked():
    others, script = Others(), transcript(lines_of({"From": "x"}), login=True)
    play(script, [Login(), Headers(), others], config=LOGIN_CONFIG)
    assert others.result is None


def test_mail_of_a_client_that_may_relay_is_not_checked():
    others, script = Others(), transcript(lines_of({"From": "x"}))
    play(script, [Headers(), others], config=RELAY_CONFIG, peer=RELAY_PEER)
    assert others.result is None


def test_without_the_public_suffix_list_some_rules_cannot_be_used(monkeypatch):
    monkeypatch.setattr(_suffixes, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install gatepost\[uribl\]"):
        Headers()
    compares = [name for name, rule in RULES.items() if rule.compares]
    play(transcript(lines_of({})), [Headers(**dict.fromkeys(compares, "none"))], config=DOMAINS)


def test_options_are_checked():
    with pytest.raises(ValueError, match="longest_line: expected 78 or more octets"):
        Headers(longest_line=10)


def test_a_from_field_with_too_many_addresses_is_malformed():
    many = ",".join(["a@x.example"] * (MOST_ADDRESSES + 1))
    assert examined(f"From: {many}\r\n".encode()) == "from_malformed"
    assert examined(b"From: " + b"a" * 20_000 + b"@x.example\r\n") == "from_malformed"


def examined(block):
    around = Surroundings(Address("", ""), 0.0, Results(), lambda _: True, lambda one, two: False)
    options = Headers.Options(required=(), forbidden=("Bad",), longest_line=10**6)
    seen = Examined(block, around)
    found = {name: rule.find(seen, options) for name, rule in RULES.items()}
    assert all(one is None or isinstance(one, str) for one in found.values())
    return next((name for name, one in found.items() if one is not None), None)


NAMES = ["From", "Sender", "Reply-To", "Date", "Message-ID", "Bad"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=60)), max_size=8))
def test_any_header_can_be_examined(fields):
    examined(b"".join(name.encode() + b":" + value + b"\r\n" for name, value in fields))
