"""How often passwords may be tried from one place."""

import pytest

from gatepost.auth import attempts
from gatepost.auth.attempts import AttemptCounts, network_of


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def made(per_ip=2, per_network=3, clock=None):
    return AttemptCounts(per_ip, per_network, 60, clock or Clock())


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_networks(host, network):
    assert network_of(host) == network


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "local"])
def test_an_address_has_so_many(host):
    counts = made()
    assert [counts.admit(host) for _ in range(4)] == [True, True, False, False]
    assert counts.admit("198.51.100.1")


def test_a_network_has_so_many():
    counts = made()
    assert [counts.admit(f"192.0.2.{last}") for last in range(5)] == [True] * 3 + [False] * 2
    assert counts.admit("192.0.3.1")
    assert [counts.admit(f"2001:db8::{last}") for last in range(4)] == [True] * 3 + [False]
    assert counts.admit("2001:db8:0:1::")


def test_what_is_forgiven_does_not_count():
    counts = made()
    for _ in range(10):
        assert counts.admit("192.0.2.7")
        counts.forgive("192.0.2.7")
    assert [counts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_after_the_window_it_begins_anew():
    clock = Clock()
    counts = made(clock=clock)
    assert [counts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]
    clock.now += 59
    assert not counts.admit("192.0.2.7")
    clock.now += 1
    assert [counts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_forgiving_after_the_window_gives_nothing_away():
    clock = Clock()
    counts = made(clock=clock)
    assert counts.admit("192.0.2.7")
    clock.now += 61
    counts.forgive("192.0.2.7")
    assert [counts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_no_more_are_counted_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(attempts, "MAX_COUNTED", 3)
    counts = made(per_ip=1, per_network=100)
    hosts = [f"192.0.{net}.1" for net in range(4)]
    assert all(map(counts.admit, hosts))
    assert len(counts._hosts._counts) == len(counts._networks._counts) == 3
    assert [counts.admit(one) for one in reversed(hosts)] == [False, False, False, True]
