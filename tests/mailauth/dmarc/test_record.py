"""The policy record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.dmarc import parse_record
from gatepost.mailauth.dmarc.record import CACHED_LENGTH, MOST_REMARKS

RUA = "rua=mailto:a@x.example"


def read(rest):
    return parse_record(f"v=DMARC1; {rest}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=DMARC",
        "v=DMARC12; p=none",
        "v=dmarc1; p=none",
        "v=DMARC1 p=none",
        " v=DMARC1; p=none",
        "p=none; v=DMARC1",
        "v=spf1 -all",
        "v=DMARC1\n; p=none",
    ],
)
def test_a_text_without_the_version_in_front_is_no_record(text):
    assert parse_record(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "v=DMARC1;p=none",
        "v=DMARC1 ;p=none;",
        "V=DMARC1; p=none",
        "v\t= DMARC1\t;\t p = none ; ",
        "v=DMARC1;;; p=none;;",
        "v=DMARC1; P=NONE",
    ],
)
def test_white_space_and_empty_tags_are_permitted(text):
    record = parse_record(text)
    assert (record.p, record.remarks) == ("none", ())


def test_all_tags_are_read():
    record = read(
        "p=reject; sp=quarantine; np=none; adkim=s; aspf=S; psd=n; t=y; fo=1:d:s;"
        " rua=mailto:a@x.example , https://x.example/r; ruf=mailto:b@x.example"
    )
    assert (record.p, record.sp, record.np) == ("reject", "quarantine", "none")
    assert (record.adkim, record.aspf, record.psd, record.testing) == ("s", "s", "n", True)
    assert record.fo == ("1", "d", "s")
    assert record.rua == ("mailto:a@x.example", "https://x.example/r")
    assert record.ruf == ("mailto:b@x.example",)
    assert record.applies
    assert record.remarks == ()


def test_the_defaults_are_those_of_the_rfc():
    record = read("p=reject")
    assert (record.sp, record.np, record.adkim, record.aspf) == (None, None, "r", "r")
    assert (record.psd, record.testing, record.rua, record.fo) == ("u", False, (), ("0",))


@pytest.mark.parametrize(
    ("rest", "remark"),
    [
        ("pct=50", "pct has no effect: RFC 9989 has removed it"),
        ("rf=afrf", "rf has no effect: RFC 9989 has removed it"),
        ("ri=1", "ri has no effect: RFC 9989 has removed it"),
        ("x=y", "x is unknown"),
        ("adkim=x", "adkim: expected r or s, found 'x'"),
        ("t=yes", "t: expected y or n, found 'yes'"),
        ("fo=0:", "fo: expected 0, 1, d or s, found '0:'"),
        ("text", "expected TAG=VALUE, found 'text'"),
        ("psd=", "expected TAG=VALUE, found 'psd='"),
        ("aspf=\u00fc", "expected TAG=VALUE, found 'aspf=\\xfc'"),
        ("p=none", "p occurs again"),
        ("rua=nowhere", "rua: expected URIs such as mailto:reports@example.com, found 'nowhere'"),
    ],
)
def test_a_wrong_tag_counts_as_absent(rest, remark):
    record = read(f"p=reject; {rest}")
    assert record.remarks == (remark,)
    assert (record.p, record.adkim, record.aspf, record.testing) == ("reject", "r", "r", False)
    assert record.applies


@pytest.mark.parametrize("rest", ["", "p=all", "p=", "p=reject; sp=x", "p=reject; np=x; sp=none"])
def test_a_record_without_valid_policies_is_p_none_if_it_has_an_address(rest):
    without, with_rua = read(rest), read(f"{rest}; {RUA}")
    assert not without.applies
    assert with_rua.applies
    assert (with_rua.p, with_rua.sp, with_rua.np) == ("none", None, None)
    assert with_rua.remarks[0].startswith("without valid policies")


@pytest.mark.parametrize(
    ("rua", "found"),
    [
        ("mailto:a@x.example!10m", ("mailto:a@x.example",)),
        ("mailto:a,mailto:b@x.example", ("mailto:b@x.example",)),
        ("a@x.example, ,MAILTO:a@x.example", ("MAILTO:a@x.example",)),
        ("https://x.example/?a=1&b=%2C", ("https://x.example/?a=1&b=%2C",)),
        ("mailto:a b@x.example", ()),
        (":", ()),
    ],
)
def test_uris_are_read_one_by_one(rua, found):
    assert read(f"p=none; rua={rua}").rua == found


def test_remarks_are_limited():
    assert len(read("; ".join(["x=y"] * 1000)).remarks) == MOST_REMARKS


@given(st.text() | st.text(alphabet="v=DMARC1; pst\trejcunoqai:,@!mlto").map("v=DMARC1;{}".format))
def test_any_text_can_be_read(text):
    record = parse_record(text)
    if record is not None:
        assert record.p in ("none", "quarantine", "reject")
        assert all("\n" not in remark for remark in record.remarks)
        assert parse_record(record.text) == record


@pytest.mark.parametrize("more", [-1, 0, 1, 100])
def test_a_record_of_any_length_is_read(more):
    start = "v=DMARC1; p=reject; x="
    record = parse_record(start + "y" * (CACHED_LENGTH - len(start) + more))
    assert (record.p, len(record.text)) == ("reject", CACHED_LENGTH + more)
