"""The tables of unknown recipients and of sources that are needed, and their bounds."""

import random

import pytest

from gatepost.traps.statistics import (
    GOOD,
    GOOD_BULK,
    Beta,
    Budget,
    EProcess,
    HostTest,
    expected_losses,
    promoted,
)

KNOWN = (0, 1, 5, 20)
# Unknown recipients needed with 0, 1, 5 and 20 known ones.
NEEDED = [
    (GOOD, 1e-3, (6, 9, 22, 66)),
    (GOOD, 1e-4, (12, 18, 42, 127)),
    (GOOD, 1e-6, (42, 63, 141, 428)),
    (Beta(0.5, 9.5), 1e-3, (5, 6, 13, 35)),
    (Beta(0.5, 9.5), 1e-4, (7, 10, 19, 51)),
    (Beta(0.5, 9.5), 1e-6, (15, 21, 39, 102)),
    (GOOD_BULK, 1e-3, (21, 36, 96, 319)),
    (GOOD_BULK, 1e-4, (67, 115, 306, 1014)),
    (GOOD_BULK, 1e-6, (669, 1159, None, None)),
]
# Bad sources needed without a good one, for alpha = 1e-2, 1e-3, 1e-4; bad ones that one good costs.
SOURCES = [
    (0.2, (22, 33, 44), 14),
    (0.1, (46, 69, 92), 30),
    (0.05, (95, 142, 189), 61),
    (0.02, (240, 360, 480), 156),
]


@pytest.mark.parametrize(("good", "alpha", "expected"), NEEDED)
def test_unknown_recipients_needed_to_act(good, alpha, expected):
    test = HostTest(good)
    assert tuple(test.needed(known, alpha) for known in KNOWN) == expected


def test_known_recipients_speak_for_a_sender():
    test = HostTest()
    assert test.is_bad(6, 0, 1e-3)
    assert not test.is_bad(6, 1, 1e-3)


def test_the_bound_holds_for_good_senders_looked_at_after_each_recipient():
    alpha, chance = 0.01, random.Random(1)
    wrong = sum(reaches(chance, alpha) for _ in range(3000))
    assert 0 < wrong <= 3000 * alpha


def reaches(chance, alpha):
    share, test, unknown = chance.betavariate(GOOD.a, GOOD.b), HostTest(), 0
    for asked in range(1, 60):
        unknown += chance.random() < share
        if test.is_bad(unknown, asked - unknown, alpha):
            return True
    return False


@pytest.mark.parametrize(("q0", "needed", "cost"), SOURCES)
def test_sources_needed_to_promote_an_address(q0, needed, cost):
    start = EProcess(q0)
    for alpha, expected in zip((1e-2, 1e-3, 1e-4), needed, strict=True):
        assert start.after(bad=expected).is_proven(alpha)
        assert not start.after(bad=expected - 1).is_proven(alpha)
    assert start.after(bad=cost + 1, good=1).value > 1
    assert start.after(bad=cost - 1, good=1).value < 1


def test_the_weight_of_a_class_shortens_the_way():
    assert EProcess(0.1, 30.0).after(bad=14).is_proven(1e-2)


def test_the_order_of_sources_does_not_matter():
    one, other = EProcess().after(bad=3).after(good=1), EProcess().after(good=1).after(bad=3)
    assert one.value == pytest.approx(other.value)


def test_an_address_that_real_senders_use_is_hardly_ever_promoted():
    alpha, chance = 0.05, random.Random(2)
    wrong = sum(is_promoted(chance, 0.1, alpha) for _ in range(2000))
    assert 0 < wrong <= 2000 * alpha + 3 * (2000 * alpha) ** 0.5


def is_promoted(chance, q0, alpha):
    process = EProcess(q0)
    for _ in range(200):
        is_good = chance.random() < q0
        process = process.after(bad=not is_good, good=is_good)
        if process.is_proven(alpha):
            return True
    return False


def test_the_largest_number_that_keeps_the_share_is_promoted():
    evidence = {"a": 4000.0, "b": 1500.0, "c": 900.0, "d": 1.0}
    # 4 candidates, share 0.001: the k largest need 4000/k.
    assert promoted(evidence, 0.001) == ["a"]
    assert promoted({**evidence, "b": 2000.0}, 0.001) == ["a", "b"]
    assert promoted({**evidence, "b": 1400.0, "c": 1400.0}, 0.001) == ["a", "b", "c"]
    assert promoted({}, 0.001) == []


def test_losses_are_estimated_from_traps_with_one_good_source():
    found = expected_losses(once=2, sources=400, hits_per_day=10, legitimate_per_day=1000)
    assert found.expected == pytest.approx(5.0)
    assert found.upper == pytest.approx(5.0 * 6.2958 / 2, rel=1e-3)


def test_no_mistake_still_has_an_upper_bound():
    found = expected_losses(once=0, sources=300, hits_per_day=1, legitimate_per_day=1000)
    assert found.expected == 0
    assert found.upper == pytest.approx(1.0, rel=0.01)


def test_without_hits_nothing_is_lost():
    nothing = expected_losses(once=0, sources=0, hits_per_day=0, legitimate_per_day=10)
    assert nothing == Budget(0, 0)
