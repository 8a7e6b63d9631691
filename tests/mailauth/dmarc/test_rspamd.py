"""The DMARC cases of rspamd: tests/suites/rspamd-dmarc. They are those of RFC 7489."""

import json
from pathlib import Path

import pytest

from gatepost.checks.authcheck.evaluation import Envelope, evaluate_all
from gatepost.checks.authcheck.message import read_message
from gatepost.mailauth.zone import Zone, ask_zone

SUITE = Path(__file__).parents[2] / "suites/rspamd-dmarc"
ZONE = Zone(json.loads((SUITE / "zone.json").read_text()))
ROWS = [line.split("\t") for line in (SUITE / "expected.tsv").read_text().splitlines()[1:]]
NOW = 1_757_808_000

SYMBOLS = {
    "DMARC_POLICY_ALLOW": ("pass", "none"),
    "DMARC_POLICY_SOFTFAIL": ("fail", "none"),
    "DMARC_POLICY_QUARANTINE": ("fail", "quarantine"),
    "DMARC_POLICY_REJECT": ("fail", "reject"),
    "DMARC_DNSFAIL": ("temperror", "none"),
    "DMARC_NA": ("none", "none"),
}
_NO_COMMON_RECORD = (
    ("fail", "reject"),
    (
        "RFC 9989 s4.10.2: my.mom.za.org has a record and mom.za.org has none, so each is its own"
        " organizational domain"
    ),
)
# What RFC 9989 requires instead, and where.
DEVIATIONS = {
    "DMARC SUBDOMAIN PASS DKIM RELAXED ALIGNMENT": _NO_COMMON_RECORD,
    "DMARC SUBDOMAIN PASS SPF RELAXED ALIGNMENT": _NO_COMMON_RECORD,
    "DMARC PCT ZERO REJECT": (("fail", "reject"), "RFC 9989 Appendix A.6: there is no pct"),
    "DMARC PCT ZERO SP QUARANTINE": (
        ("fail", "quarantine"),
        "RFC 9989 Appendix A.6: there is no pct",
    ),
}


@pytest.mark.parametrize(
    ("name", "message", "ip", "sender", "symbol"), ROWS, ids=[row[0] for row in ROWS]
)
def test_the_result_is_that_of_rspamd_or_of_the_new_rfc(name, message, ip, sender, symbol):
    with (SUITE / "messages" / message).open("rb") as file:
        read = read_message(file)
    found = ask_zone(evaluate_all(Envelope(ip, "", sender), read, NOW), ZONE).dmarc
    expected, _ = DEVIATIONS.get(name, (SYMBOLS[symbol], ""))
    assert (found.result, found.disposition) == expected
    assert name not in DEVIATIONS or expected != SYMBOLS[symbol]
