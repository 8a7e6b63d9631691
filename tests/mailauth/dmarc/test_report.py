"""Aggregate reports: the XML, and the schema of RFC 9990."""

import json
import subprocess
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools import peers

from gatepost.mailauth.dmarc import parse_record
from gatepost.mailauth.dmarc.report import (
    MAX_TEXT,
    MOST_SIGNATURES,
    NAMESPACE,
    DkimRow,
    Metadata,
    Row,
    SpfRow,
    report_lines,
    report_name,
)

METADATA = Metadata("Example & Co", "reports@example.net", "id.1@example.net", 1000, 2000)
RECORD = parse_record("v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; fo=1:d; t=y")
ROW = Row(
    "2001:db8::1",
    3,
    "none",
    dkim=True,
    spf=False,
    header_from="shop.example.com",
    envelope_from="esp.example",
    reasons=(("local_policy", "a <friend>"),),
    signatures=(
        DkimRow("esp.example", "s2", "fail", "the body does not match"),
        DkimRow("example.com", "s1", "pass"),
    ),
    sender=SpfRow("esp.example", "softfail"),
)
# The rows and the texts that any server could report.
MANY = [
    ROW,
    Row("192.0.2.1", 1, "pass", dkim=False, spf=True, header_from="example.com"),
    Row(
        "192.0.2.2",
        1,
        "quarantine",
        dkim=False,
        spf=False,
        header_from="x]]>&\0\ud800\ufffe\n",
        envelope_to="b.example",
        reasons=(("policy_test_mode", ""), ("other", "\x1b")),
    ),
]
VALIDATE = """
import json, sys
from dmarc.report import DMARC2Schema
for text in json.load(sys.stdin):
    DMARC2Schema.validate(text)
print("valid")
"""


def report(*rows, metadata=METADATA, record=RECORD):
    return b"".join(report_lines(metadata, "example.com", record, rows))


def read(text):
    return ET.fromstring(text)


def value(root, path):
    return root.findtext("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))


def values(root, path):
    found = root.findall("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))
    return [one.text for one in found]


def test_the_policy_and_the_period_are_those_of_the_record_and_the_reporter():
    root = read(report(ROW))
    assert value(root, "report_metadata/org_name") == "Example & Co"
    assert value(root, "report_metadata/date_range/end") == "2000"
    published = {one.tag.partition("}")[2]: one.text for one in root[2]}
    assert published == {
        "domain": "example.com",
        "p": "reject",
        "sp": "none",
        "np": "quarantine",
        "adkim": "s",
        "aspf": "r",
        "discovery_method": "treewalk",
        "fo": "1:d",
        "testing": "y",
    }


def test_a_row_has_its_results_those_that_pass_first():
    root = read(report(ROW))
    assert value(root, "record/row/source_ip") == "2001:db8::1"
    assert value(root, "record/row/policy_evaluated/dkim") == "pass"
    assert value(root, "record/row/policy_evaluated/spf") == "fail"
    assert value(root, "record/row/policy_evaluated/reason/comment") == "a <friend>"
    assert values(root, "record/auth_results/dkim/selector") == ["s1", "s2"]
    assert value(root, "record/auth_results/spf/scope") == "mfrom"
    assert value(root, "record/identifiers/envelope_to") is None


def test_signatures_and_texts_are_limited():
    many = (DkimRow("x.example", "s", "fail"),) * 150 + (DkimRow("x.example", "p", "pass"),)
    row = Row("192.0.2.1", 1, "none", False, False, "x" * 5000, signatures=many)
    root = read(report(row))
    found = values(root, "record/auth_results/dkim/selector")
    assert (len(found), found[0]) == (MOST_SIGNATURES, "p")
    assert len(value(root, "record/identifiers/header_from")) == MAX_TEXT


def test_the_name_of_the_file_is_that_of_the_rfc():
    name = report_name("mx.example.net", "example.com", METADATA)
    assert name == "mx.example.net!example.com!1000!2000!id.1@example.net.xml"


@given(st.text(), st.text())
def test_any_text_is_valid_xml_and_stays_in_its_element(domain, reason):
    row = Row(
        "192.0.2.1",
        1,
        "none",
        dkim=False,
        spf=False,
        header_from=domain,
        sender=SpfRow(domain, "fail", reason),
    )
    root = read(report(row))
    assert len(root) == 4
    found = value(root, "record/identifiers/header_from")
    printable = domain.isprintable() and len(domain) <= MAX_TEXT
    assert not printable or found == domain


def test_reports_are_valid_by_the_schema():
    command = peers.find("pydmarc")
    if command is None:
        pytest.skip(f"pydmarc: {peers.missing(['pydmarc'])['pydmarc']}")
    full = Metadata(*["x"] * 3, 1, 2, extra_contact_info="y", error="<e>", generator="Gatepost")
    reports = [report(*MANY), report(ROW, metadata=full, record=parse_record("v=DMARC1"))]
    done = subprocess.run(
        command.argv("-c", VALIDATE),
        env=command.env,
        input=json.dumps([one.decode() for one in reports]),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "valid\n", done.stderr[-2000:]
