"""How often passwords may be tried from one place."""

import functools

import pytest

from gatepost.auth.auth_limiter import AuthLimiter
from gatepost.config.schema import LimitsConfig
from gatepost.counts.memory import CounterMemory, Slot
from gatepost.server.limits import origin


class Clock:
    now = 6000.0

    def __call__(self):
        return self.now


def made(per_ip=2, per_network=3, clock=None, slot=None):
    limits = LimitsConfig(
        auth_failures_per_ip=per_ip, auth_failures_per_network=per_network, auth_window=60
    )
    slot = slot or Slot.standalone()
    find = functools.partial(origin, limits=limits, seed=slot.seed)
    return AuthLimiter(limits, slot, find, clock or Clock())


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_an_address_has_so_many(host):
    attempts = made()
    assert [attempts.admit(host) for _ in range(4)] == [True, True, False, False]
    assert attempts.admit("198.51.100.1")


def test_a_network_has_so_many():
    attempts = made()
    assert [attempts.admit(f"192.0.2.{last}") for last in range(5)] == [True] * 3 + [False] * 2
    assert attempts.admit("192.0.3.1")
    assert [attempts.admit(f"2001:db8::{last}") for last in range(4)] == [True] * 3 + [False]
    assert attempts.admit("2001:db8:0:1::")


@pytest.mark.parametrize("host", ["local", "127.0.0.1", "::1"])
def test_whom_nobody_counts(host):
    attempts = made()
    assert all(attempts.admit(host) for _ in range(10))
    attempts.refund(host)


def test_what_is_forgiven_does_not_count():
    attempts = made()
    for _ in range(10):
        assert attempts.admit("192.0.2.7")
        attempts.refund("192.0.2.7")
    assert [attempts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_in_the_next_window_it_begins_anew():
    clock = Clock()
    attempts = made(clock=clock)
    assert [attempts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]
    clock.now += 59
    assert not attempts.admit("192.0.2.7")
    clock.now += 1
    assert [attempts.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_all_workers_count_together():
    board = CounterMemory()
    one, other = (made(slot=Slot.attach(board.file, board.claim())) for _ in range(2))
    assert [one.admit("192.0.2.7"), other.admit("192.0.2.7")] == [True, True]
    assert [one.admit("192.0.2.7"), other.admit("192.0.2.7")] == [False, False]
    other.refund("192.0.2.7")
    assert [one.admit("192.0.2.7"), other.admit("192.0.2.7")] == [True, False]
    board.close()
