from ipaddress import ip_address

import pytest

from gatepost.lists.providers import load_providers

PROVIDERS = load_providers()


def test_the_shipped_list_has_no_bad_line():
    assert PROVIDERS.suffixes.errors == []
    assert PROVIDERS.networks.errors == []
    assert len(PROVIDERS.suffixes) > 50
    assert len(PROVIDERS.networks) > 50


@pytest.mark.parametrize(
    "address", ["209.85.220.41", "40.107.1.2", "2a01:111:f403::1", "54.240.8.1"]
)
def test_a_network_of_a_provider_is_covered(address):
    assert PROVIDERS.covers(ip_address(address), "")


def test_a_name_below_a_suffix_is_covered_and_the_domain_of_another_is_not():
    assert PROVIDERS.covers(None, "mail-ed1-f41.Google.com")
    assert not PROVIDERS.covers(None, "google.com.example.org")
    assert not PROVIDERS.covers(None, "notgoogle.com")


def test_other_clients_are_not_covered():
    assert not PROVIDERS.covers(ip_address("192.0.2.1"), "mail.example.org")
    assert not PROVIDERS.covers(None, "")


def test_no_network_is_so_large_that_it_covers_half_the_internet():
    for line in ("0.0.0.1", "128.0.0.1", "192.0.2.1", "2001:db8::1"):
        assert PROVIDERS.networks.find(ip_address(line)) is None
