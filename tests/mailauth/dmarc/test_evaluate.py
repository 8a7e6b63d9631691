"""The walk, alignment, policies, and questions that fail."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.dmarc import Identifier, evaluate, evaluate_message
from gatepost.mailauth.dmarc.evaluate import MOST_IDENTIFIERS
from gatepost.mailauth.dmarc.walk import MOST_QUERIES, walk_domains
from gatepost.mailauth.zone import Zone, ask_zone

REJECT = "v=DMARC1; p=reject"


def check(records, *identifiers, author="x.example", asked=None):
    """Evaluate with the records at `_dmarc.NAME`; names that start with "=" are themselves."""
    zone = {
        name[1:] if name[0] == "=" else f"_dmarc.{name}": [
            one if one == "TIMEOUT" or isinstance(one, dict) else {"TXT": one}
            for one in ([texts] if isinstance(texts, str) else texts)
        ]
        for name, texts in records.items()
    }
    trace = [] if asked is None else asked
    return ask_zone(
        evaluate(author, identifiers), Zone(zone), lambda question, _: trace.append(str(question))
    )


def spf(domain, result="pass"):
    return Identifier("spf", domain, result)


def dkim(domain, result="pass"):
    return Identifier("dkim", domain, result, "s")


def test_one_question_is_enough_if_all_identifiers_are_the_author_domain():
    asked = []
    result = check({"x.example": REJECT}, spf("X.example."), dkim("x.example"), asked=asked)
    assert asked == ["TXT _dmarc.x.example"]
    assert (result.result, result.reason) == (
        "pass",
        "SPF of x.example is aligned with x.example (relaxed)",
    )
    assert (result.policy, result.disposition) == ("reject", "none")
    assert result.is_aligned("spf")
    assert result.is_aligned("dkim")


def test_only_identifiers_within_the_organizational_domain_need_a_walk():
    asked = []
    result = check(
        {"x.example": REJECT},
        spf("bounce.x.example"),
        dkim("esp.example"),
        dkim("evilx.example"),
        asked=asked,
    )
    assert asked == ["TXT _dmarc.x.example", "TXT _dmarc.example", "TXT _dmarc.bounce.x.example"]
    assert result.result == "pass"
    assert [one.aligned for one in result.alignments] == [True, False, False]
    assert not result.is_aligned("dkim")


def test_a_fail_names_what_was_found():
    result = check({"x.example": REJECT}, spf("esp.example"), dkim("x.example", "fail"))
    assert result.result == "fail"
    assert result.reason == (
        "SPF of esp.example passed, but is not aligned (relaxed);"
        " DKIM of x.example has the result fail"
    )
    assert result.disposition == "reject"
    assert check({"x.example": REJECT}).reason == "no SPF or DKIM result"


def test_the_reason_has_a_limited_length():
    many = [dkim(f"{number}.example") for number in range(100)]
    result = check({"x.example": REJECT}, *many)
    assert len(result.alignments) == MOST_IDENTIFIERS
    assert result.reason.endswith("; and 4 more")


@pytest.mark.parametrize(
    ("tags", "identifier", "result"),
    [
        ("aspf=s", spf("a.x.example"), "fail"),
        ("aspf=s", dkim("a.x.example"), "pass"),
        ("adkim=s", dkim("a.x.example"), "fail"),
        ("adkim=s", spf("a.x.example"), "pass"),
        ("adkim=s; aspf=s", dkim("x.example"), "pass"),
    ],
)
def test_the_mode_is_that_of_the_method(tags, identifier, result):
    assert check({"x.example": f"{REJECT}; {tags}"}, identifier).result == result


@pytest.mark.parametrize(
    "domain", ["", "-", "x..example", "[192.0.2.1]", "a" * 300, "\0", "example"]
)
def test_an_odd_identifier_is_not_aligned(domain):
    assert check({"x.example": REJECT}, dkim(domain)).result == "fail"


@pytest.mark.parametrize(
    ("records", "author", "organizational", "at"),
    [
        ({}, "a.x.example", "a.x.example", ""),
        ({"example": REJECT}, "a.x.example", "example", "example"),
        ({"x.example": REJECT}, "a.b.x.example", "x.example", "x.example"),
        ({"b.x.example": REJECT, "x.example": REJECT}, "a.b.x.example", "x.example", "x.example"),
        (
            {"b.x.example": f"{REJECT}; psd=n", "x.example": REJECT},
            "a.b.x.example",
            "b.x.example",
            "b.x.example",
        ),
        ({"example": f"{REJECT}; psd=y"}, "a.b.x.example", "x.example", "example"),
        ({"example": f"{REJECT}; psd=y"}, "x.example", "x.example", "example"),
        ({"example": f"{REJECT}; psd=y"}, "example", "example", "example"),
        ({"x.example": REJECT, "a.x.example": REJECT}, "a.x.example", "x.example", "a.x.example"),
        # The label below the public suffix is one that the shortcut has skipped.
        (
            {"c.d.e.f.g.h.example": f"{REJECT}; psd=y"},
            "1.2.3.a.b.c.d.e.f.g.h.example",
            "b.c.d.e.f.g.h.example",
            "c.d.e.f.g.h.example",
        ),
    ],
)
def test_the_organizational_domain_and_the_place_of_the_record(records, author, organizational, at):
    result = check(records, author=author)
    assert result.organizational_domain == organizational
    assert result.record_domain == at
    assert result.result == ("fail" if at else "none")


def test_identifiers_below_a_public_suffix_are_not_aligned_with_each_other():
    records = {"example": f"{REJECT}; psd=y"}
    assert check(records, dkim("y.example")).result == "fail"
    assert check(records, dkim("a.x.example")).result == "pass"
    assert check(records, dkim("example")).result == "fail"


def test_each_identifier_has_a_walk_of_its_own():
    records = {"x.example": REJECT, "dept.x.example": f"{REJECT}; psd=n"}
    assert check(records, dkim("mail.dept.x.example")).result == "fail"
    assert check(records, dkim("dept.x.example"), author="mail.dept.x.example").result == "pass"
    assert check(records, dkim("x.example"), author="mail.dept.x.example").result == "fail"


@pytest.mark.parametrize(
    ("tags", "author", "expected"),
    [
        ("p=reject", "gone.x.example", ("reject", "p")),
        ("p=reject; sp=none", "gone.x.example", ("none", "sp")),
        ("p=reject; sp=none; np=quarantine", "gone.x.example", ("quarantine", "np")),
        ("p=reject; sp=none; np=quarantine", "host.x.example", ("none", "sp")),
        ("p=reject; np=quarantine", "host.x.example", ("reject", "p")),
        ("p=reject; sp=none; np=quarantine", "above.x.example", ("none", "sp")),
        ("p=none; sp=reject; np=reject", "x.example", ("none", "p")),
    ],
)
def test_the_policy_depends_on_the_place_and_on_the_existence(tags, author, expected):
    records = {
        "x.example": f"v=DMARC1; {tags}",
        "=host.x.example": [{"A": "192.0.2.1"}],
        "=a.above.x.example": [{"A": "192.0.2.1"}],
    }
    result = check(records, author=author)
    assert (result.policy, result.tag) == expected


def test_existence_is_asked_only_if_it_matters():
    asked = []
    check({"x.example": f"{REJECT}; np=reject"}, author="a.x.example", asked=asked)
    assert asked == ["TXT _dmarc.a.x.example", "TXT _dmarc.x.example", "TXT _dmarc.example"]
    check({"x.example": f"{REJECT}; np=none"}, author="a.x.example", asked=asked)
    assert asked[3:] == [*asked[:3], "A a.x.example"]
    # An answer below the domain shows that it exists.
    records = {"x.example": f"{REJECT}; np=none", "a.x.example": "text"}
    assert check(records, author="a.x.example", asked=asked).policy == "reject"
    assert len(asked) == 10


@pytest.mark.parametrize(
    ("published", "policy"), [("reject", "quarantine"), ("quarantine", "none"), ("none", "none")]
)
def test_a_test_weakens_the_policy(published, policy):
    result = check({"x.example": f"v=DMARC1; p={published}; t=y"})
    assert (result.policy, result.published, result.disposition) == (policy, published, policy)


def test_several_records_at_a_name_are_discarded_and_noted():
    result = check({"a.x.example": [REJECT, REJECT], "x.example": REJECT}, author="a.x.example")
    assert result.record_domain == "x.example"
    assert result.notes == ("_dmarc.a.x.example has 2 DMARC records: all are discarded",)


@pytest.mark.parametrize(
    ("records", "identifiers", "expected"),
    [
        ({"x.example": "TIMEOUT"}, (), "temperror"),
        ({"x.example": "TIMEOUT"}, (dkim("x.example"),), "temperror"),
        ({"example": "TIMEOUT"}, (dkim("x.example"),), "temperror"),
        # The record of the author domain is there, and only its organizational domain is unknown.
        ({"x.example": REJECT, "example": "TIMEOUT"}, (dkim("x.example"),), "pass"),
        ({"x.example": REJECT, "example": "TIMEOUT"}, (), "fail"),
        ({"x.example": REJECT, "example": "TIMEOUT"}, (spf("esp.net"),), "fail"),
        ({"x.example": REJECT, "example": "TIMEOUT"}, (spf("esp.example"),), "temperror"),
        (
            {"x.example": REJECT, "example": "TIMEOUT"},
            (spf("esp.example"), dkim("x.example")),
            "pass",
        ),
        # What is above the end of the walk does not matter.
        ({"x.example": f"{REJECT}; psd=n", "example": "TIMEOUT"}, (spf("y.net"),), "fail"),
        ({"x.example": REJECT, "a.x.example": "TIMEOUT"}, (dkim("a.x.example"),), "temperror"),
        # A check of an aligned domain that failed for now could have been a pass.
        ({"x.example": REJECT}, (dkim("x.example", "temperror"),), "temperror"),
        ({"x.example": REJECT}, (dkim("a.x.example", "temperror"),), "temperror"),
        ({"x.example": REJECT}, (spf("esp.net", "temperror"),), "fail"),
        ({"x.example": REJECT}, (spf("x.example", "temperror"), dkim("x.example")), "pass"),
        ({"x.example": REJECT}, (spf("x.example", "permerror"),), "fail"),
    ],
)
def test_a_failed_question_matters_only_if_its_answer_could(records, identifiers, expected):
    assert check(records, *identifiers).result == expected


def test_an_unknown_existence_is_a_temporary_error_unless_the_message_passes():
    records = {"x.example": f"{REJECT}; np=none", "=a.x.example": ["TIMEOUT"]}
    result = check(records, author="a.x.example")
    assert (result.result, result.disposition) == ("temperror", "none")
    assert "A a.x.example: no answer in time" in result.reason
    assert check(records, dkim("x.example"), author="a.x.example").result == "pass"


def test_a_name_that_is_too_long_is_not_asked():
    asked = []
    label = "a" * 60
    author = f"{label}.{label}.{label}.{label}.example"
    assert check({"example": REJECT}, author=author, asked=asked).result == "fail"
    assert asked[0] == f"TXT _dmarc.{label}.{label}.{label}.example"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"To: a@x.example\r\n\r\n", "no From field"),
        (b"From: a@x.example\r\nFrom: b@x.example\r\n\r\n", "more than one From field"),
    ],
)
def test_a_message_without_an_author_domain_is_a_permanent_error(block, reason):
    result = ask_zone(evaluate_message(block, []), Zone({}))
    assert (result.result, result.reason, result.policy) == ("permerror", reason, None)


def test_a_wrong_author_domain_is_a_permanent_error():
    assert check({}, author="x..example").result == "permerror"


domains = st.lists(st.sampled_from(["a", "b", "x", "example"]), min_size=1, max_size=12).map(
    ".".join
)
texts = st.sampled_from(
    [REJECT, f"{REJECT}; psd=y", f"{REJECT}; psd=n; np=none", "v=DMARC1", "other", "TIMEOUT"]
)
identifiers = st.builds(
    Identifier, st.sampled_from(["spf", "dkim"]), domains, st.sampled_from(["pass", "temperror"])
)


@given(
    st.dictionaries(domains, st.lists(texts, min_size=1, max_size=2)),
    st.lists(identifiers, max_size=4),
    domains,
)
def test_every_check_ends_within_its_number_of_questions(records, found, author):
    asked = []
    result = check(records, *found, author=author, asked=asked)
    assert result.result in {"pass", "fail", "none", "temperror"}
    assert len(asked) == len(set(asked))
    assert len(asked) <= MOST_QUERIES * (len(found) + 1) + 1
    if result.organizational_domain:
        assert f".{author}".endswith(f".{result.organizational_domain}")


@given(domains)
def test_a_walk_has_at_most_eight_names(domain):
    names = walk_domains(domain)
    assert names[0] == domain
    assert len(names) == min(8, domain.count(".") + 1)
    assert all(f".{one}".endswith(f".{two}") for one, two in pairwise(names))
