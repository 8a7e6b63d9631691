"""The RFC 7208 test suite of openspf.org, see tests/suites/spf-rfc7208/SOURCE."""

import json
from pathlib import Path

import pytest

from gatepost.mailauth.spf import check_host
from gatepost.mailauth.zone import Zone, ask_zone

FILE = Path(__file__).parents[1] / "suites/spf-rfc7208/rfc7208-tests.json"
SCENARIOS = json.loads(FILE.read_text())
CASES = [
    pytest.param(case, scenario["zonedata"], id=name)
    for scenario in SCENARIOS
    for name, case in scenario["tests"].items()
]


def test_the_suite_is_complete():
    assert len(CASES) == 203


@pytest.mark.parametrize(("case", "zone"), CASES)
def test_the_result_and_explanation_are_those_of_the_suite(case, zone):
    check = check_host(case["host"], "", case["mailfrom"], case["helo"], explain=True)
    found = ask_zone(check, Zone(zone))
    expected = case["result"]
    assert found.result in ([expected] if isinstance(expected, str) else expected), found
    assert found.reason
    if "explanation" in case:
        # the suite names the text of the receiver DEFAULT; here it is empty
        assert found.explanation == case["explanation"].replace("DEFAULT", "")
