"""Domain lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.domains import DomainList
from gatepost.lists.file import DomainFile

LINES = ["# ours", "Example.com the main one", ".example.net", "[192.0.2.1]", "bücher.example\ta"]


@pytest.mark.parametrize(
    ("domain", "ours"),
    [
        ("example.com", True),
        ("sub.example.com", False),
        ("example.net", False),
        ("a.example.net", True),
        ("a.b.example.net", True),
        ("aexample.net", False),
        ("xn--bcher-kva.example", True),
        ("[192.0.2.1]", True),
        ("[192.0.2.2]", False),
        ("", False),
    ],
)
def test_domains_and_suffixes_match(domain, ours):
    assert (domain in DomainList.from_lines(LINES, "d")) is ours


def test_a_domain_does_not_match_its_subdomains():
    assert "a.example.com" not in DomainList.from_lines(["example.com"], "d")


def test_a_list_contains_the_keys_of_its_lines():
    domains = DomainList.from_lines(LINES, "d")
    keys = ["example.com", ".example.net", "[192.0.2.1]", "xn--bcher-kva.example"]
    assert list(domains) == keys
    assert len(domains) == 4
    assert domains.current is domains


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a@example.com", "a domain name such as example.com or .example.com"),
        (".", "a domain name such as example.com or .example.com"),
        ("..example.com", "a domain name such as example.com or .example.com"),
        (".[192.0.2.1]", "a domain name such as example.com or .example.com"),
        ("example\0.com", "text without control characters"),
    ],
)
def test_a_bad_line_is_reported(line, expected):
    domains = DomainList.from_lines(["ok.example", line], "d")
    assert [str(error) for error in domains.errors] == [f"d:2: expected {expected}, found {line!r}"]
    assert list(domains) == ["ok.example"]


@given(st.lists(st.text()))
def test_any_lines_are_domains_or_errors(lines):
    domains = DomainList.from_lines(lines, "d")
    assert len(domains) + domains.bad_lines <= len(lines)


def test_every_domain_matches_only_an_item_of_the_configuration(tmp_path):
    assert "any.example" in DomainList.from_lines(["*"], "d")
    assert "[192.0.2.1]" in DomainList.from_lines(["example.com", "*"], "d")
    path = tmp_path / "domains"
    path.write_text("*\nexample.com\n")
    file = DomainFile(path)
    file.load()
    assert "any.example" not in file.current
    assert [error.line for error in file.current.errors] == [1]
