"""The SPF cases of rspamd: tests/suites/rspamd-spf."""

import json
from pathlib import Path

import pytest

from gatepost.mailauth.spf import check_host
from gatepost.mailauth.zone import Zone, ask_zone

SUITE = Path(__file__).parents[1] / "suites/rspamd-spf"
ZONE = Zone(json.loads((SUITE / "zone.json").read_text()))
ROWS = [line.split("\t") for line in (SUITE / "expected.tsv").read_text().splitlines()[1:]]
SYMBOLS = {
    "R_SPF_ALLOW": "pass",
    "R_SPF_PLUSALL": "pass",
    "R_SPF_FAIL": "fail",
    "R_SPF_NA": "none",
    "R_SPF_DNSFAIL": "temperror",
    "R_SPF_PERMFAIL": "permerror",
}
# What RFC 7208 requires instead, and where.
DEVIATIONS = {
    "SPF FAIL UNRESOLVEABLE INCLUDE": ("permerror", "section 5.2: include of a name without one"),
    "SPF ALLOW DNS REQUESTS AT LIMIT": ("permerror", "section 4.6.4: at most 10 terms, not 30"),
}


@pytest.mark.parametrize(("name", "ip", "sender", "symbols"), ROWS, ids=[row[0] for row in ROWS])
def test_the_result_is_that_of_rspamd_or_of_the_rfc(name, ip, sender, symbols):
    expected = SYMBOLS[symbols.partition(",")[0]]
    helo = "client.example" if sender else f"[{ip}]"
    found = ask_zone(check_host(ip, "", sender, helo), ZONE)
    if name in DEVIATIONS:
        deviation, _ = DEVIATIONS[name]
        assert deviation != expected
        expected = deviation
    assert found.result == expected, found.reason


def test_the_suite_is_complete():
    assert len(ROWS) == 36
    assert DEVIATIONS.keys() <= {row[0] for row in ROWS}
