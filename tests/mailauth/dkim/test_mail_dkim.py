"""The corpus of Mail::DKIM, which is not part of this repository: its licence is that of Perl.

Set GATEPOST_SUITES to a folder that has it as dkim-mail-dkim: t/corpus and t/FAKE_DNS.dat as in
Mail::DKIM, and expected.tsv with the results of t/verifier.t (file, tab, result).
"""

import os
from pathlib import Path

import pytest
from tests.mailauth.checks import FAILED, crlf, dkim

SUITES = os.environ.get("GATEPOST_SUITES", "")
if not SUITES:
    pytest.skip("the corpus of Mail::DKIM: GATEPOST_SUITES is not set", allow_module_level=True)
CORPUS = Path(SUITES, "dkim-mail-dkim")

# Most of the corpus is from before RFC 6376: a part of the reason here for a message that passes
# there, and the rule.
DEVIATIONS = {
    # RFC 6376 section 3.5, v=: "This tag ... MUST be included"; RFC 4870 and drafts had none.
    "the tag v= is missing": "drafts of DKIM",
    # "It MUST have the value "1"."
    "the version '0.5' is not supported": "drafts of DKIM",
    # RFC 8301 section 3.1: "Verifiers MUST NOT ... consider rsa-sha1 ... valid".
    "the algorithm rsa-sha1 is not accepted": "RFC 8301",
}


def cases():
    lines = (CORPUS / "expected.tsv").read_text().splitlines()
    rows = [tuple(line.split("\t")) for line in lines]
    # DomainKeys (RFC 4870) is obsolete and is not verified.
    return [(name, result) for name, result in rows if "dk_" not in name]


def records():
    found = {}
    for line in (CORPUS / "t" / "FAKE_DNS.dat").read_text().splitlines():
        name, _, text = line.partition(" ")
        text = text.strip()
        if line and not line.startswith("#") and text != "NXDOMAIN":
            found[name] = FAILED if text.startswith("~~") else text.strip('"')
    return found


def test_the_corpus_is_there():
    assert len(cases()) == 62


@pytest.mark.parametrize(("name", "result"), cases())
def test_the_corpus_of_mail_dkim(name, result):
    results = dkim(crlf((CORPUS / "t" / "corpus" / name).read_bytes()), records())
    words = {one.result for one in results}
    if result == "pass" and "pass" not in words:
        assert {one.reason for one in results} & set(DEVIATIONS)
    else:
        assert ("pass" in words) == (result == "pass")
