"""Lists of networks: lines, look-ups, and files."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.networks import NetworkFile, NetworkList

LINES = """
# a comment
192.0.2.0/24     office
192.0.2.128/25
\t198.51.100.7\tone address
2001:db8::/32

0.0.0.0/1
""".splitlines()


def found(address, lines=LINES):
    network = NetworkList.from_lines(lines, "list").find(ip_address(address))
    return None if network is None else str(network)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("192.0.2.200", "192.0.2.128/25"),
        ("198.51.100.7", "198.51.100.7/32"),
        ("198.51.100.8", None),
        ("2001:db8:1::1", "2001:db8::/32"),
        ("2001:db9::1", None),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("10.0.0.1", "0.0.0.0/1"),
        ("::1", None),
    ],
)
def test_the_smallest_network_is_found(address, network):
    assert found(address) == network


def test_equal_lines_are_one_entry():
    networks = NetworkList.from_lines(["192.0.2.0/24", "192.0.2.0/24 again"], "list")
    assert (len(networks), networks.current is networks) == (1, True)


@pytest.mark.parametrize(
    "line", ["192.0.2.1/24", "example.com", "192.0.2.0/33", "1", "192.0.2.0/24\x00", "1.2.3"]
)
def test_other_lines_are_errors(line):
    networks = NetworkList.from_lines(["192.0.2.0/24", line], "list")
    (error,) = networks.errors
    assert str(error).startswith("list:2: expected ")
    assert (networks.bad_lines, len(networks)) == (1, 1)


def test_a_file_is_read_again(tmp_path):
    path = tmp_path / "networks"
    path.write_bytes(b"192.0.2.0/24\n\xff\n")
    file = NetworkFile(path)
    file.load()
    assert [error.line for error in file.current.errors] == [2]
    path.write_text("198.51.100.0/24\n")
    assert file.refresh().entries == 1
    assert file.current.find(ip_address("192.0.2.1")) is None
    path.write_text("")
    assert "found no entry, 1 before" in file.refresh().problem
    assert file.current.find(ip_address("198.51.100.1")) is not None


NETWORKS = st.one_of(
    st.builds(
        lambda number, length: ip_network((number >> length << length, 32 - length)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, length: ip_network((number >> length << length, 128 - length)),
        st.integers(2**32, 2**128 - 1),
        st.integers(0, 128),
    ),
)
ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address)


@given(st.lists(NETWORKS, max_size=8), ADDRESSES)
def test_a_look_up_agrees_with_a_search_of_all(networks, address):
    version = NetworkList(networks)
    plain = getattr(address, "ipv4_mapped", None) or address
    containing = [one for one in networks if one.version == plain.version and plain in one]
    best = max(containing, key=lambda one: one.prefixlen, default=None)
    assert version.find(address) == best


@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_line_is_an_entry_or_an_error(lines):
    networks = NetworkList.from_lines(lines, "list")
    assert len(networks) + networks.bad_lines <= len(lines)
