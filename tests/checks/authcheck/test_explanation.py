"""The explanation of a message, and the advice."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gatepost.checks.authcheck.evaluation import Envelope, evaluate_all
from gatepost.checks.authcheck.explanation import MAX_ANSWERS, Report, explain
from gatepost.checks.authcheck.message import read_message
from gatepost.ledger.words.fitting import plain
from gatepost.mailauth.zone import Zone, ask_zone

RSPAMD = Path(__file__).parents[2] / "suites/rspamd-dmarc"
NOW = 1_757_808_000
REJECT = {"_dmarc.x.example": [{"TXT": "v=DMARC1; p=reject"}]}
CLIENT = Envelope("192.0.2.1", "h.example", "a@esp.example")
SPF = {"esp.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}]}


def explained(records, octets=b"From: a@x.example\r\n\r\n", envelope=CLIENT, width=80):
    lookups = []
    message = read_message(io.BytesIO(octets))
    check = evaluate_all(envelope, message, NOW)
    found = ask_zone(check, Zone(records), lambda *pair: lookups.append(pair))
    report = Report("m.eml", message.octets, message.bare_lf, envelope, found, lookups)
    return [plain(line).rstrip() for line in explain(report, width)]


def one_text(*given, **options):
    return " ".join(" ".join(explained(*given, **options)).split())


@pytest.mark.parametrize(
    ("records", "octets", "headline"),
    [
        (REJECT, b"From: a@x.example\r\n\r\n", "DMARC fails, and x.example requests to reject"),
        (
            {"_dmarc.x.example": [{"TXT": "v=DMARC1; p=reject; t=y"}]},
            b"From: a@x.example\r\n\r\n",
            "DMARC fails, and x.example requests to treat the message as suspicious.",
        ),
        (
            {"_dmarc.x.example": [{"TXT": "v=DMARC1; p=none"}]},
            b"From: a@x.example\r\n\r\n",
            "DMARC fails, and x.example requests no action.",
        ),
        ({}, b"From: a@x.example\r\n\r\n", "DMARC does not apply: x.example has no DMARC record."),
        ({}, b"To: a@x.example\r\n\r\n", "DMARC cannot be evaluated: no From field."),
        (
            {"_dmarc.x.example": ["TIMEOUT"]},
            b"From: a@x.example\r\n\r\n",
            "DMARC could not be evaluated: the policy is not known: TXT _dmarc.x.example:",
        ),
        (
            {**SPF, "_dmarc.esp.example": [{"TXT": "v=DMARC1; p=reject"}]},
            b"From: a@esp.example\r\n\r\n",
            "DMARC passes: SPF of esp.example is aligned with esp.example (relaxed).",
        ),
    ],
)
def test_the_first_line_is_the_conclusion(records, octets, headline):
    assert one_text(records, octets).startswith(headline)


def test_a_signature_is_described():
    name = "onsubdomain_pass_relaxed.eml"
    records = json.loads((RSPAMD / "zone.json").read_text())
    text = one_text(records, (RSPAMD / "messages" / name).read_bytes())
    assert "DKIM pass: mom.za.org: the signature matches" in text
    assert "selector testdkim, rsa-sha256, 1024 bits" in text
    assert "DKIM pass for mom.za.org: not aligned (relaxed)" in text
    assert "publish one at _dmarc.mom.za.org." in text


@pytest.mark.parametrize(
    ("records", "hint"),
    [
        ({**SPF, **REJECT}, "SPF passes for another domain: use a sender in x.example"),
        (REJECT, "does not sign: sign with DKIM and d=x.example."),
        (
            {"_dmarc.x.example": [{"TXT": "v=DMARC1; p=none"}, {"TXT": "v=DMARC1; p=reject"}]},
            "Publish one DMARC record",
        ),
        ({}, "A record at _dmarc.x.example, such as v=DMARC1; p=none,"),
    ],
)
def test_known_causes_have_advice(records, hint):
    assert hint in one_text(records)


def test_a_body_that_was_changed_has_advice():
    records = json.loads((RSPAMD / "zone.json").read_text())
    octets = (RSPAMD / "messages/pass_none.eml").read_bytes() + b"-- \nA list\n"
    text = one_text(records, octets)
    assert "DKIM fail: cacophony.za.org: the body does not match its hash (bh=)" in text
    assert "such as a mailing list or a filter, has changed the body" in text


def test_a_pass_needs_no_advice():
    records = {**SPF, "_dmarc.esp.example": [{"TXT": "v=DMARC1; p=reject"}]}
    assert "What to do" not in one_text(records, b"From: a@esp.example\r\n\r\n")


def test_many_records_are_not_all_shown():
    records = {"esp.example": [{"TXT": f"text {number}"} for number in range(15)]}
    text = one_text(records)
    assert f"- text {MAX_ANSWERS - 1}" in text
    assert f"text {MAX_ANSWERS} " not in text
    assert "- and 5 more" in text


@given(
    st.binary(max_size=200).map(lambda octets: b"From: a@x.example\r\n" + octets),
    st.text(max_size=100),
    st.text(max_size=40),
    st.integers(10, 100),
)
def test_any_message_and_record_gives_printable_lines_that_fit(octets, text, name, width):
    records = {**SPF, "_dmarc.x.example": [{"TXT": f"v=DMARC1; p=none; {text}"}, {"TXT": text}]}
    envelope = Envelope("192.0.2.1", name, f"{name}@esp.example")
    for line in explained(records, octets, envelope, width):
        assert line.isprintable()
        assert cell_len(line) <= max(width, 33)
