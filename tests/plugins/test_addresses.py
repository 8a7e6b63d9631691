"""Addresses of clients: one parser and one list of internal networks for all plugins."""

from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.states import make_session

from gatepost import NetworkList
from gatepost.plugin.loader import builtin_names, find_plugin
from gatepost.plugins._addresses import (
    INTERNAL,
    address_of,
    is_bogus,
    is_internal,
    is_trusted,
    packet_address,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "parsed", "in_packets"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2002:c000:201::7", "192.0.2.1", "2002:c000:201::7"),
        ("64:ff9b::192.0.2.1", "192.0.2.1", "64:ff9b::c000:201"),
        ("fe80::1%eth0", "fe80::1", "fe80::1"),
    ],
)
def test_an_address_in_an_ipv6_address_is_that_address(text, parsed, in_packets):
    assert (str(parse_address(text)), str(packet_address(text))) == (parsed, in_packets)


@pytest.mark.parametrize("text", ["", "/run/gatepost.sock", "192.0.2.1%eth0", "192.0.2", "mx"])
def test_other_text_is_no_address(text):
    assert (parse_address(text), packet_address(text)) == (None, None)


@given(st.ip_addresses())
def test_every_address_is_parsed(address):
    found = parse_address(str(address))
    assert isinstance(found, IPv4Address | IPv6Address)
    assert parse_address(str(found)) in (found, parse_address(str(found)))


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_none(text):
    assert (parse_address(text) is None) == (packet_address(text) is None)


@pytest.mark.parametrize(
    ("text", "internal", "bogus"),
    [
        ("10.1.2.3", True, True),
        ("100.64.0.1", True, True),
        ("127.0.0.1", True, True),
        ("fe80::1%eth0", True, True),
        ("64:ff9b::10.0.0.1", True, True),
        ("2002:7f00:1::1", True, True),
        ("0.0.0.0", False, True),
        ("ff02::1", False, True),
        ("198.51.100.1", False, False),
        ("2001:db8::1", False, False),
    ],
)
def test_internal_and_impossible_addresses(text, internal, bogus):
    address = parse_address(text)
    assert (is_internal(address), is_bogus(address)) == (internal, bogus)


def test_the_address_of_a_client_as_text():
    assert address_of(make_session("::ffff:192.0.2.1")) == "192.0.2.1"
    assert address_of(make_session("/run/gatepost.sock")) == "/run/gatepost.sock"


@pytest.mark.parametrize(
    ("host", "user", "trusted"),
    [
        ("192.168.1.1", "", True),
        ("64:ff9b::192.168.1.1", "", True),
        ("fe80::1%eth0", "", True),
        ("/run/gatepost.sock", "", True),
        ("192.0.2.1", "alice", True),
        ("192.0.2.1", "", False),
    ],
)
def test_clients_that_are_not_checked(host, user, trusted):
    assert is_trusted(make_session(host, user=user), NetworkList(*INTERNAL)) is trusted


def test_a_list_in_a_file_is_read_again(tmp_path):
    class Changing:
        def __init__(self):
            self.files = (tmp_path / "list",)
            self.networks = [ip_network("192.0.2.0/24")]

        def __contains__(self, address):
            return any(address in one for one in self.networks)

    listed = Changing()
    assert is_trusted(make_session("192.0.2.1"), listed)
    listed.networks.clear()
    assert not is_trusted(make_session("192.0.2.1"), listed)


def networks_of(plugin):
    """Return the options with networks that have a default, and the default."""
    fields = msgspec.structs.fields(plugin.Options)
    return {one.name: str(one.default) for one in fields if isinstance(one.default, NetworkList)}


def test_the_exemption_of_clients_has_one_name_and_one_default():
    found = [networks_of(find_plugin(name, Path())[0]) for name in builtin_names()]
    found = [one for one in found if one]
    assert len(found) > 5
    assert found == [{"exempt_clients": str(NetworkList(*INTERNAL))}] * len(found)
