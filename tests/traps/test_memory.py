from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.traps.memory import (
    DAY,
    Lifetimes,
    TrapMemory,
    domain_key_of,
    is_proven,
    judge,
    network_keys,
)

NOW = 1_700_000_000.0


def keys(address):
    return network_keys(ip_address(address))


def test_a_network_of_ipv4_is_a_24():
    assert keys("192.0.2.1") == keys("192.0.2.254")
    assert keys("192.0.2.1") != keys("192.0.3.1")


def test_a_network_of_ipv6_is_a_64_and_a_48():
    same_host, same_customer = keys("2001:db8:1:2::1"), keys("2001:db8:1:3::1")
    assert keys("2001:db8:1:2:ffff::") == same_host
    assert len(set(same_host) & set(same_customer)) == 1
    assert not set(same_host) & set(keys("2001:db8:2:2::1"))


def test_an_ipv4_mapped_address_is_the_ipv4_address():
    assert keys("::ffff:192.0.2.1") == keys("192.0.2.1")


def test_keys_of_different_kinds_never_meet():
    assert len({*keys("0.0.0.0"), *keys("::"), domain_key_of("0")}) == 4


@pytest.mark.parametrize(
    ("age", "marks", "refuses"),
    [
        (0, True, True),
        (DAY, True, True),
        (DAY + 1, True, False),
        (7 * DAY, True, False),
        (7 * DAY + 1, False, False),
    ],
)
def test_a_hit_refuses_for_a_day_and_marks_for_a_week(age, marks, refuses):
    memory = TrapMemory()
    memory.remember(NOW, keys("192.0.2.1"))
    found = memory.recall(NOW + age, keys("192.0.2.9"))
    assert (found.age, found.marks, found.refuses) == (age, marks, refuses)


def test_without_a_hit_nothing_is_marked():
    found = TrapMemory().recall(NOW, keys("192.0.2.1"))
    assert (found.age, found.marks, found.refuses) == (None, False, False)


def test_the_latest_hit_of_all_keys_counts():
    assert judge(NOW, [None, NOW - 9 * DAY, NOW - 2], Lifetimes()).age == 2


def test_a_time_that_goes_back_neither_shortens_nor_gives_a_negative_age():
    memory = TrapMemory()
    memory.remember(NOW, ["k"])
    memory.remember(NOW - DAY, ["k"])
    assert memory.dump() == {"k": NOW}
    assert memory.recall(NOW - 5, ["k"]).age == 0


def test_forgiving_deletes_and_counts():
    memory = TrapMemory()
    memory.remember(NOW, ["a", "b"])
    assert memory.forgive(["a", "c"]) == 1
    assert not memory.recall(NOW, ["a"]).marks
    assert memory.recall(NOW, ["b"]).marks


def test_expiry_deletes_only_what_no_longer_counts():
    memory = TrapMemory()
    memory.remember(NOW, ["old"])
    memory.remember(NOW + 1, ["new"])
    assert memory.expire(NOW + 7 * DAY) == 0
    assert memory.expire(NOW + 7 * DAY + 1) == 1
    assert list(memory.dump()) == ["new"]


def test_the_memory_is_bounded_and_drops_the_oldest_hit():
    memory = TrapMemory(most=2)
    for at, key in enumerate(["a", "b", "a", "c"]):
        memory.remember(NOW + at, [key])
    assert list(memory.dump()) == ["a", "c"]


def test_a_dump_is_loaded_in_any_order():
    memory, copy = TrapMemory(), TrapMemory()
    memory.remember(NOW, ["a"])
    memory.remember(NOW + 9, ["b"])
    copy.load(dict(reversed(memory.dump().items())))
    assert list(copy.dump().items()) == [("a", NOW), ("b", NOW + 9)]


@pytest.mark.parametrize(
    ("spf", "dkim", "shared", "proven"),
    [
        (True, False, False, True),
        (True, True, True, True),
        (True, False, True, False),  # every customer of the provider passes
        (False, True, False, False),  # a signed message can be replayed
        (False, False, False, False),
    ],
)
def test_a_domain_is_proven_by_spf_and_never_by_dkim_alone(spf, dkim, shared, proven):
    assert is_proven(spf_aligned=spf, dkim_aligned=dkim, shared_network=shared) is proven


@given(
    st.lists(
        st.tuples(st.sampled_from(["remember", "forgive", "expire"]), st.integers(0, 20)),
        max_size=40,
    )
)
def test_it_agrees_with_a_plain_dictionary(steps):
    memory, plain, now = TrapMemory(), {}, NOW
    for step, number in steps:
        now += DAY
        key = f"k{number}"
        if step == "remember":
            memory.remember(now, [key])
            plain[key] = now
        elif step == "forgive":
            memory.forgive([key])
            plain.pop(key, None)
        else:
            memory.expire(now)
            plain = {one: hit for one, hit in plain.items() if now - hit <= 7 * DAY}
    assert memory.dump() == plain
