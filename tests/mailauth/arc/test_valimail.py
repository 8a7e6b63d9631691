"""The validation cases of the ARC test suite of ValiMail."""

import json
from pathlib import Path

import pytest
from tests.mailauth.checks import arc, crlf

SUITE = Path(__file__).parents[2] / "suites" / "arc-valimail"
GROUPS = json.loads((SUITE / "arc-draft-validation-tests.json").read_text("utf-8"))
# The suite has no result for these. The suffix of the cases is "fail".
EMPTY = {
    # RFC 8617 section 5.2, step 2: the newest seal has cv=fail, so the result is "fail".
    "failing message i=i as cv=fail": "fail",
    "i=2 base1 cv2=fail": "fail",
    # Step 3.D: the seal of instance 1 must have cv=none.
    "i=2 base1 as(1) cv=fail": "fail",
}
CASES = [
    pytest.param(case, group["txt-records"], id=name)
    for group in GROUPS
    for name, case in group["tests"].items()
]


def test_the_suite_is_complete():
    assert len(CASES) == 171


@pytest.mark.parametrize(("case", "records"), CASES)
def test_the_result_is_that_of_the_suite(case, records):
    found = arc(crlf(case["message"]), records or {})
    expected = (case["cv"] or EMPTY[case["description"]]).lower()
    assert found.result == expected, found.reason
