"""Lists as options of a plugin: look-ups, files, and how the server reads them again."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost import (
    Address,
    AddressList,
    DomainList,
    Endpoint,
    NetworkList,
    Plugin,
    Recipient,
    RegexList,
    deny,
)
from gatepost.lists.reloadable import ListError
from gatepost.plugin.place import Place
from gatepost.testing import play


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("user@example.com", "User@Example.COM"),
        (Address("USER", "EXAMPLE.com"), "User@Example.COM"),
        (Recipient(Address("user", "example.com"), {}), "User@Example.COM"),
        ('"user"@example.com', "User@Example.COM"),
        ("user+tag@example.com", None),
        ("any@bücher.example", "@xn--bcher-kva.example"),
        ("any@sub.xn--bcher-kva.example", None),
        ("bounce-7@lists.example", "/^bounce-[0-9]+@/"),
        ("not an address", None),
        ("", None),
        (Address("", ""), None),
        (Address("postmaster", ""), None),
    ],
)
def test_addresses(address, entry):
    found = AddressList("User@Example.COM", "@xn--bcher-kva.example", "/^bounce-[0-9]+@/ note")
    assert found.match(address) == entry
    assert (address in found) is (entry is not None)


@pytest.mark.parametrize(
    ("domain", "entry"),
    [
        ("Example.COM.", "example.com"),
        ("sub.example.com", None),
        ("a.b.example.net", ".example.net"),
        ("example.net", None),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        (Address("x", "example.com"), "example.com"),
        (Recipient(Address("x", "example.com"), {}), "example.com"),
        ("", None),
        ("\udcff", None),
    ],
)
def test_domains(domain, entry):
    found = DomainList("example.com", ".example.net", "bücher.example", "[192.0.2.1]")
    assert found.match(domain) == entry
    assert (domain in found) is (entry is not None)


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        (Endpoint("192.0.2.1", 25), "192.0.2.0/24"),
        (ip_address("::ffff:192.0.2.1"), "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::/32"),
        ("198.51.100.1", None),
        (Endpoint("/run/socket"), None),
        ("", None),
    ],
)
def test_networks(address, entry):
    found = NetworkList("192.0.2.0/24", "2001:db8::/32")
    assert found.match(address) == entry
    assert (address in found) is (entry is not None)


@pytest.mark.parametrize(("text", "entry"), [("SALES-1", r"^sales-\d$"), ("other", None)])
def test_regular_expressions(text, entry):
    found = RegexList(r"^sales-\d$")
    assert found.match(text) == entry
    assert (text in found) is (entry is not None)


KINDS = {
    AddressList: ("a@example.com", "no address"),
    DomainList: ("example.com", "-"),
    NetworkList: ("192.0.2.1", "example"),
    RegexList: ("x", "("),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_inline_entry_raises_value_error(kind):
    with pytest.raises(ValueError, match=r"^expected .*, found "):
        kind(KINDS[kind][1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_is_shown_by_its_entries(kind):
    good, _ = KINDS[kind]
    assert repr(kind(good, "file:x")) == f"{kind.__name__}({good!r}, 'file:x')"
    assert (len(kind()), len(kind(good))) == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_look_up_without_a_server_reads_the_files(kind, tmp_path):
    good, _ = KINDS[kind]
    (tmp_path / "list").write_text(f"{good}\n")
    found = kind.read(["file:list"], Place(tmp_path))
    assert good in found
    (tmp_path / "list").unlink()
    assert good in found
    with pytest.raises(ListError, match="cannot be read"):
        _ = good in kind.read("file:list", Place(tmp_path))


def test_a_list_in_code_starts_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("list").write_text("a@example.com\n")
    assert "a@example.com" in Blocked(blocked="file:list").options.blocked


class Blocked(Plugin):
    class Options(Plugin.Options):
        blocked: AddressList = AddressList()

    def on_rcpt(self, tx, rcpt):
        entry = self.options.blocked.match(rcpt)
        return deny(f"blocked by {entry}") if entry else None


def test_a_plugin_decides_by_a_list():
    play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<>
        S: 250
        C: RCPT TO:<spam@example.com>
        S: 550 5.7.1 blocked by spam@example.com
        C: RCPT TO:<user@example.com>
        S: 250
        """,
        [Blocked(blocked=["spam@example.com"])],
    )
