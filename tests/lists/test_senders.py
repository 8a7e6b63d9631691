"""Lists of senders: networks and domains, mixed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.senders import SenderFile, SenderList


def test_networks_and_domains_are_found():
    lines = [
        "# ours",
        "192.0.2.0/24 branch",
        "2001:db8::/32",
        "",
        "Partner.Example",
        ".sub.example",
    ]
    found = SenderList.from_lines(lines, "trusted")
    assert (len(found), found.errors) == (4, [])
    assert found.has_client("192.0.2.9")
    assert found.has_client("::ffff:192.0.2.9")
    assert found.has_client("2001:db8::1")
    assert not found.has_client("198.51.100.1")
    assert not found.has_client("")
    assert found.has_domain("partner.example")
    assert found.has_domain("a.sub.example")
    assert not found.has_domain("sub.example")


@pytest.mark.parametrize("line", ["192.0.2.1/24", "user@example.com", "a b\x01", "*"])
def test_other_lines_are_errors(line):
    found = SenderList.from_lines(["ok.example", line], "trusted")
    [error] = found.errors
    assert (error.line, found.bad_lines, len(found)) == (2, 1, 1)
    assert str(error).startswith("trusted:2: expected ")


def test_a_file_is_read_again(tmp_path):
    path = tmp_path / "partners"
    path.write_text("192.0.2.0/24\n")
    file = SenderFile(path)
    file.load()
    assert file.current.has_client("192.0.2.1")
    path.write_text("192.0.2.0/24\npartner.example\n")
    assert file.refresh() is not None
    assert file.current.has_domain("partner.example")


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_is_read_without_another_error(lines):
    found = SenderList.from_lines(lines, "trusted")
    assert len(found) + found.bad_lines <= len(lines)
