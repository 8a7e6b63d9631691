"""The limits on AUTH attempts per address and network."""

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


def make_limiter(per_ip=2, per_network=3, clock=None, slot=None):
    limits = LimitsConfig(
        auth_failures_per_ip=per_ip, auth_failures_per_network=per_network, auth_window=60
    )
    slot = slot or Slot.standalone()
    locate = functools.partial(origin, limits=limits, seed=slot.seed)
    return AuthLimiter(limits, slot, locate, clock or Clock())


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_attempts_of_an_address_are_limited(host):
    limiter = make_limiter()
    assert [limiter.admit(host) for _ in range(4)] == [True, True, False, False]
    assert limiter.admit("198.51.100.1")


def test_attempts_of_a_network_are_limited():
    limiter = make_limiter()
    assert [limiter.admit(f"192.0.2.{last}") for last in range(5)] == [True] * 3 + [False] * 2
    assert limiter.admit("192.0.3.1")
    assert [limiter.admit(f"2001:db8::{last}") for last in range(4)] == [True] * 3 + [False]
    assert limiter.admit("2001:db8:0:1::")


@pytest.mark.parametrize("host", ["local", "127.0.0.1", "::1"])
def test_exempt_clients_are_not_counted(host):
    limiter = make_limiter()
    assert all(limiter.admit(host) for _ in range(10))
    limiter.refund(host)


def test_refunded_attempts_do_not_count():
    limiter = make_limiter()
    for _ in range(10):
        assert limiter.admit("192.0.2.7")
        limiter.refund("192.0.2.7")
    assert [limiter.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_the_next_window_starts_at_zero():
    clock = Clock()
    limiter = make_limiter(clock=clock)
    assert [limiter.admit("192.0.2.7") for _ in range(3)] == [True, True, False]
    clock.now += 59
    assert not limiter.admit("192.0.2.7")
    clock.now += 1
    assert [limiter.admit("192.0.2.7") for _ in range(3)] == [True, True, False]


def test_the_limit_covers_all_workers():
    memory = CounterMemory()
    one, other = (make_limiter(slot=Slot.attach(memory.file, memory.claim())) for _ in range(2))
    assert [one.admit("192.0.2.7"), other.admit("192.0.2.7")] == [True, True]
    assert [one.admit("192.0.2.7"), other.admit("192.0.2.7")] == [False, False]
    other.refund("192.0.2.7")
    assert [one.admit("192.0.2.7"), other.admit("192.0.2.7")] == [True, False]
    memory.close()


def test_attempts_of_a_48_are_limited():
    limiter = make_limiter()
    admitted = [limiter.admit(f"2001:db8:0:{one}::1") for one in range(14)]
    assert admitted == [True] * 12 + [False] * 2
    assert limiter.admit("2001:db8:1::1")
