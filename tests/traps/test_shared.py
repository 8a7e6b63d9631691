import pytest

from gatepost.traps.memory import DAY
from gatepost.traps.shared import MOST_DOMAINS, SharedNetworks

START = 1_700_000_000.0
NOW = START + 40 * DAY


def network(domains, first=START, last=NOW, most=None):
    seen = SharedNetworks() if most is None else SharedNetworks(most=most)
    for number in range(domains):
        seen.accepted(first, "net", f"d{number}.example")
        seen.accepted(last, "net", f"d{number}.example")
    return seen


@pytest.mark.parametrize(("domains", "shared"), [(4, False), (5, True), (20, True)])
def test_five_old_domains_make_a_network_shared(domains, shared):
    assert network(domains).is_shared(NOW, "net") is shared


def test_a_new_domain_each_half_hour_does_not_make_a_network_shared():
    seen = SharedNetworks()
    for number in range(48):
        seen.accepted(NOW - 1800 * number, "net", f"d{number}.example")
    assert not seen.is_shared(NOW, "net")


@pytest.mark.parametrize(
    ("first", "last", "shared"),
    [
        (NOW - 30 * DAY, NOW, True),
        (NOW - 30 * DAY + 1, NOW, False),
        (START, NOW - 7 * DAY, True),
        (START, NOW - 7 * DAY - 1, False),
    ],
)
def test_domains_count_from_30_days_until_7_days_without_mail(first, last, shared):
    assert network(5, first, last).is_shared(NOW, "net") is shared


def test_an_unknown_network_is_not_shared():
    assert not SharedNetworks().is_shared(NOW, "net")


def test_the_domains_of_a_network_are_bounded():
    seen = network(MOST_DOMAINS + 10)
    assert len(seen.dump()["net"]) == MOST_DOMAINS


@pytest.mark.parametrize("age", [DAY, 20 * DAY])
def test_many_new_domains_do_not_push_out_those_that_make_a_network_shared(age):
    seen = network(5)
    for number in range(3 * MOST_DOMAINS):
        seen.accepted(NOW - age, "net", f"new{number}.example")
        seen.accepted(NOW, "net", f"new{number}.example")
    assert seen.is_shared(NOW, "net")


def test_domains_without_recent_mail_make_room_for_new_ones():
    seen = network(MOST_DOMAINS, START - 60 * DAY, START)
    for number in range(5):
        for at in (NOW - 31 * DAY, NOW):
            seen.accepted(at, "net", f"new{number}.example")
    assert seen.is_shared(NOW, "net")


def test_networks_are_bounded_and_the_one_without_recent_mail_is_dropped():
    seen = SharedNetworks(most=2)
    for name in ("a", "b", "a", "c"):
        seen.accepted(NOW, name, "d.example")
    assert set(seen.dump()) == {"a", "c"}


def test_a_dump_can_be_loaded():
    copy = SharedNetworks()
    copy.load(network(5).dump())
    assert copy.is_shared(NOW, "net")
    assert len(copy) == 1
