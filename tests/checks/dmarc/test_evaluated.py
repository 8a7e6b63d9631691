"""Transactions as rows of aggregate reports."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.checks.dmarc.samples import POLICY, transaction
from tests.mailauth.dmarc.test_report import METADATA

from gatepost.checks.dmarc.evaluated import evaluated
from gatepost.ledger.records import PluginResult
from gatepost.mailauth.dmarc.report import DkimRow, SpfRow, report_lines


def test_a_row_has_the_results_and_domains():
    found = evaluated(transaction())
    assert (found.policy_domain, found.published.p, found.published.sp) == (
        "example.org",
        "reject",
        "none",
    )
    assert found.requests_reports
    row = found.row
    assert (row.source_ip, row.header_from, row.envelope_from) == (
        "192.0.2.1",
        "shop.example.org",
        "esp.example",
    )
    assert row.sender == SpfRow("esp.example", "softfail")
    assert row.signatures == (
        DkimRow("esp.example", "s2", "fail"),
        DkimRow("example.org", "s1", "pass"),
    )


@pytest.mark.parametrize(
    ("changes", "disposition", "reasons"),
    [
        ({"value": "pass"}, "pass", []),
        ({"value": "pass", "policy": "none"}, "none", []),
        ({"result": "refused"}, "reject", []),
        ({"result": "refused", "disposition": "quarantine"}, "reject", ["local_policy"]),
        ({"disposition": "quarantine", "held": True}, "quarantine", []),
        ({}, "none", ["local_policy"]),
        ({"disposition": "none"}, "none", []),
        ({"disposition": "none", "result": "refused"}, "none", []),
        ({"override": "trusted forwarder (ARC)"}, "none", ["trusted_forwarder"]),
        (
            {"published": "v=DMARC1; p=none; t=y", "disposition": "none"},
            "none",
            ["policy_test_mode"],
        ),
    ],
)
def test_the_disposition_is_what_was_done(changes, disposition, reasons):
    row = evaluated(transaction(**changes)).row
    assert row.disposition == disposition
    assert [kind for kind, _ in row.reasons] == reasons


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "temperror"},
        {"value": "none"},
        {"result": "deferred"},
        {"result": "abandoned"},
        {"address": "/run/mail.sock"},
        {"published": "no record"},
        {"record": "../../etc"},
        {"record": ""},
    ],
)
def test_what_has_no_evaluated_policy_is_no_row(changes):
    assert evaluated(transaction(**changes)) is None


def test_the_null_sender_has_no_domain():
    record = msgspec.structs.replace(transaction(), sender="")
    assert evaluated(record).row.envelope_from == ""


ANY = st.text() | st.integers() | st.floats() | st.booleans()
FACTS = st.dictionaries(st.sampled_from([*POLICY, "disposition", "selector", "override"]), ANY)
WORDS = st.sampled_from(["pass", "fail", "none", ""]) | st.text()


@given(FACTS, st.dictionaries(st.sampled_from(["spf", "dkim", "dmarc"]), WORDS), st.text())
def test_facts_of_any_plugin_give_a_report(facts, values, sender):
    facts = POLICY | facts
    results = [PluginResult(name, value, facts=facts) for name, value in values.items()]
    record = msgspec.structs.replace(transaction(), results=results, sender=sender)
    found = evaluated(record)
    if found is not None:
        assert values["dmarc"] in ("pass", "fail")
        assert b"".join(report_lines(METADATA, "example.org", found.published, [found.row]))
