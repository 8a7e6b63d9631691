"""Writing Authentication-Results: what is written is read as the same values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.results import MethodResult, parse, write
from gatepost.mailauth.results.write import MAX_VALUE

KEYWORDS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=MAX_VALUE)
ANY = st.text(max_size=300) | st.sampled_from(["\r\nX: y", 'a"; dkim=pass', "a\\", "(c", "\udc80"])


def methods(values):
    names = st.tuples(KEYWORDS, KEYWORDS).map(".".join)
    return st.builds(
        MethodResult,
        KEYWORDS,
        KEYWORDS,
        values,
        st.lists(st.tuples(names.filter(lambda name: name != "reason"), values), max_size=4).map(
            tuple
        ),
        st.integers(1, 99),
    )


def value_of(field):
    assert field.isascii()
    assert field.startswith(b"Authentication-Results: ")
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert all(line[:1] == b"\t" and line.strip() for line in lines[1:])
    assert max(map(len, lines)) <= 998
    return field.decode().removeprefix("Authentication-Results: ").removesuffix("\r\n")


@given(PRINTABLE, st.lists(methods(PRINTABLE), max_size=5))
def test_what_is_written_is_read_as_the_same_values(authserv_id, results):
    found = parse(value_of(write(authserv_id, results)))
    assert found.authserv_id == authserv_id
    assert list(found.methods) == results


@given(ANY, st.lists(methods(ANY), max_size=5))
def test_no_value_adds_a_result_or_a_property(authserv_id, results):
    found = parse(value_of(write(authserv_id, results)))
    assert [(one.method, one.result, one.version) for one in found.methods] == [
        (one.method, one.result, one.version) for one in results
    ]
    for written, one in zip(results, found.methods, strict=True):
        assert [name for name, _ in one.properties] == [name for name, _ in written.properties]
        assert all(len(value) <= MAX_VALUE for _, value in one.properties)
        assert bool(one.reason) == bool(written.reason)


def test_a_field_without_results_has_none():
    assert write("mx.example", []) == b"Authentication-Results: mx.example;\r\n\tnone\r\n"


@pytest.mark.parametrize(
    "one",
    [
        MethodResult("s pf", "pass"),
        MethodResult("", "pass"),
        MethodResult("spf", "pass; dkim=pass"),
        MethodResult("spf", "pass-"),
        MethodResult("spf", "pass", properties=(("mailfrom", "a"),)),
        MethodResult("spf", "pass", properties=(("smtp.mail\r\nfrom", "a"),)),
        MethodResult("spf", "pass", properties=(("smtp.mail=x from", "a"),)),
    ],
)
def test_a_name_that_is_no_keyword_is_refused(one):
    with pytest.raises(ValueError, match="expected a keyword of RFC 8601"):
        write("mx.example", [one])
