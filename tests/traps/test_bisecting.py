"""The detector of bisecting: chains of smaller sets, single recipients, and what is no chain."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.plugins._journal import MOST
from gatepost.traps.bisecting import (
    CHAIN,
    CONTAINED,
    KEPT,
    LEAST,
    MOST_OF_SOURCE,
    MOST_RECIPIENTS,
    MOST_SETS,
    MOST_SINGLES,
    SHRUNK,
    SINGLES,
    Bisecting,
    Probe,
)
from gatepost.traps.memory import DAY

NOW = 1_700_000_000.0
TRAP = 0


class Client:
    """A client that sends to sets of numbers, in which 0 is a trap."""

    def __init__(self, sets, keys=("2c00002",), source="", traps=(TRAP,)):
        self.sets, self.keys, self.source, self.traps = sets, keys, source, traps

    def send(self, *recipients, at=NOW):
        """Return what is found."""
        hit = [f"trap{one}@example.com" for one in recipients if one in self.traps]
        source = self.source or "".join(self.keys)
        found = frozenset(recipients)
        return self.sets.observe(Probe(at, found, source, self.keys, bool(hit), tuple(hit)))


@pytest.fixture
def sets():
    return Bisecting()


@pytest.fixture
def client(sets):
    return Client(sets)


def bisect(client, most):
    """Halve `most` recipients until one is left; return all findings."""
    suspicious = list(range(most))
    found = [client.send(*suspicious)]
    while len(suspicious) > 1:
        half = suspicious[: len(suspicious) // 2]
        found.append(client.send(*half))
        is_in = TRAP in half
        suspicious = half if is_in else suspicious[len(half) :]
    return [one for one in found if one is not None]


@pytest.mark.parametrize("most", [16, 50, 100, 200])
def test_a_client_that_bisects_is_flagged(client, most):
    found = bisect(client, most)
    assert found[0].keys == ("2c00002",)
    assert found[0].traps == ("trap0@example.com",)
    assert found[0].chain == 3


def test_three_refinements_are_a_chain(client):
    client.send(*range(16))
    assert client.send(*range(12)) is None
    assert client.send(*range(9)) is None
    assert client.send(*range(6)).chain == 3


def test_a_set_that_hardly_shrinks_is_compared_with_the_earlier_ones(client):
    findings = [client.send(*range(round(100 * 0.8**step))) for step in range(9)]
    assert [one for one in findings if one is not None]


def test_a_person_who_sends_again_to_fewer_colleagues_is_not_flagged(client):
    assert client.send(*range(8)) is None
    assert client.send(*range(5)) is None
    assert client.send(1, 2, 3) is None
    assert client.send(4, 5) is None


def test_a_message_that_is_sent_again_is_no_refinement(client):
    for _ in range(9):
        assert client.send(*range(8)) is None
    assert client.send(*range(6)) is None
    for _ in range(9):
        assert client.send(*range(6)) is None
    assert client.send(*range(4)) is None


def test_a_person_who_writes_to_all_others_in_groups_is_not_flagged(client):
    client.send(*range(12))
    for group in ((1, 2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (2, 9)):
        assert client.send(*group) is None


def test_sets_that_pass_count_once_the_trap_is_hit_again(client):
    client.send(*range(16))
    for half in (range(8, 16), range(4, 8)):
        assert client.send(*half) is None
    assert client.send(0, 1).keys == client.keys


def test_a_set_that_passes_twice_counts_once(client):
    client.send(*range(16))
    client.send(*range(8, 16))
    client.send(*range(8, 16))
    assert client.send(0, 1) is None


def test_different_clients_of_a_chain_expose_the_trap_and_are_not_flagged(sets):
    found = [Client(sets, (f"2{at}",)).send(*range(32 >> at)) for at in range(4)]
    assert found[:3] == [None] * 3
    assert found[3].traps == ("trap0@example.com",)
    assert found[3].keys == ()


def test_a_cluster_is_not_flagged_for_the_chain_of_another(sets):
    attacker, honest = Client(sets, ("2a",)), Client(sets, ("2b",))
    for size in (64, 48, 36, 27):
        attacker.send(*range(size))
    assert honest.send(*range(12)).keys == ()
    assert honest.send(*range(9)).keys == ()
    assert honest.send(*range(6)).keys == ("2b",)


def test_ordinary_mail_of_others_does_not_extend_a_chain(sets):
    attacker, other = Client(sets, ("2a",)), Client(sets, ("2b",))
    attacker.send(*range(100))
    before = len(sets)
    for first in range(1, 90, 3):
        assert other.send(first, first + 1) is None
        assert other.send(first) is None
    assert len(sets) == before
    attacker.send(*range(50))
    assert attacker.send(*range(25)) is None


def test_spam_to_single_traps_of_a_set_is_no_chain(sets):
    Client(sets, ("2a",)).send(*range(100))
    for at in range(9):
        spam = Client(sets, (f"2b{at}",), traps=range(10))
        assert spam.send(at) is None


def test_a_single_trap_after_a_chain_of_others_is_no_chain(sets):
    attacker, spam = Client(sets, ("2a",)), Client(sets, ("2b",))
    for size in (16, 12, 9):
        attacker.send(*range(size))
    assert spam.send(TRAP) is None
    assert attacker.send(TRAP).chain == 3


def test_a_chain_is_found_when_its_last_set_passes(sets):
    first, second = Client(sets, ("2a",)), Client(sets, ("2b",))
    first.send(*range(16))
    first.send(*range(12))
    second.send(*range(9))
    found = first.send(1, 2, 3)
    assert (found.traps, found.keys, found.chain) == (("trap0@example.com",), (), 3)


def test_a_client_that_sends_the_set_of_another_is_of_its_chain(sets):
    first, second = Client(sets, ("2a",)), Client(sets, ("2b",))
    passed = Probe(NOW, frozenset((1, 2, 3)), "2b", second.keys)
    first.send(*range(16))
    assert not sets.concerns(passed)
    second.send(*range(16))
    assert sets.concerns(passed)


def test_five_single_recipients_of_a_refused_set_are_a_search(client):
    client.send(*range(10))
    for one in (1, 2, 3, 3, 3, 4):
        assert client.send(one) is None
    found = client.send(TRAP)
    assert (found.keys, found.traps) == (client.keys, ("trap0@example.com",))


def test_single_recipients_without_a_trap_are_ordinary_mail(client):
    client.send(*range(40))
    assert [client.send(one) for one in range(1, 40)] == [None] * 39
    assert client.send(TRAP).keys == client.keys


def test_single_recipients_count_for_a_day(client):
    client.send(*range(10))
    for one in (1, 2, 3, 4):
        client.send(one, at=NOW + 60)
    assert client.send(TRAP, at=NOW + 61 + DAY) is None


def test_single_recipients_count_for_the_clients_of_the_set(sets):
    Client(sets, ("2a",)).send(*range(10))
    other = Client(sets, ("2b",))
    assert [other.send(one) for one in range(10)] == [None] * 10


def test_a_domain_is_flagged_in_other_networks(sets):
    first, second = Client(sets, ("2a", "dspam.example")), Client(sets, ("2b", "dspam.example"))
    first.send(*range(32))
    second.send(*range(16))
    first.send(*range(8))
    assert second.send(*range(4)).keys == ("dspam.example",)


def test_a_shared_network_is_never_flagged(sets):
    client = Client(sets, (), source="2a")
    found = bisect(client, 64)
    assert found
    assert {one.keys for one in found} == {()}


def test_sets_are_dropped_after_a_week(client):
    client.send(*range(16))
    client.send(*range(12), at=NOW + 1)
    client.send(*range(9), at=NOW + 2)
    assert client.send(*range(6), at=NOW + 3 + KEPT) is None
    assert len(client.sets) == 1


def test_a_chain_of_a_week_is_found(client):
    for at, size in enumerate((16, 12, 9)):
        client.send(*range(size), at=NOW + at)
    assert client.send(*range(6), at=NOW + KEPT) is not None


def test_small_and_very_large_sets_begin_no_chain(sets, client):
    client.send(0, 1)
    client.send(0)
    client.send()
    client.send(*range(MOST_RECIPIENTS + 1))
    assert len(sets) == 0
    assert not sets.concerns(Probe(NOW, frozenset(), "", (), refused=True))


def test_a_tenth_of_other_recipients_hides_no_refinement(client):
    client.send(*range(80))
    client.send(*range(45), *range(900, 905))
    client.send(*range(27), *range(910, 913))
    assert client.send(*range(9), 920) is not None


def test_only_what_matters_is_a_concern(sets):
    client = Client(sets)
    assert sets.concerns(Probe(NOW, frozenset(range(3)), "2a", refused=True))
    assert not sets.concerns(Probe(NOW, frozenset(range(3)), "2a"))
    client.send(*range(8))
    mine = Probe(NOW, frozenset((1, 2)), "2a", client.keys)
    assert sets.concerns(mine)
    assert not sets.concerns(Probe(NOW, frozenset((1, 2)), "2a", ("2b",)))


def test_a_flood_from_one_network_drops_its_own_sets_only(sets):
    attacker, flooder = Client(sets, ("2a",)), Client(sets, ("2b",))
    attacker.send(*range(64))
    attacker.send(*range(48))
    for at in range(1000, 10_000, 3):
        flooder.send(TRAP, at, at + 1)
    assert len(sets) == 2 + MOST_OF_SOURCE
    attacker.send(*range(36))
    assert attacker.send(*range(27)).keys == attacker.keys


def test_a_flood_from_many_networks_drops_the_sets_of_those_with_the_most():
    sets = Bisecting(most=100)
    attacker = Client(sets, ("2a",))
    attacker.send(*range(64))
    for at in range(1000, 4000, 3):
        Client(sets, (f"2b{at % 20}",)).send(TRAP, at, at + 1)
    assert len(sets) == 100
    for size in (48, 36):
        attacker.send(*range(size))
    assert attacker.send(*range(27)) is not None


def test_many_clusters_of_one_set_are_kept_up_to_a_limit(sets):
    for at in range(40):
        Client(sets, (f"2{at}",)).send(*range(10))
    assert len(sets) == 1
    last = Client(sets, ("239",))
    assert [last.send(one) for one in range(5)] == [None] * 5


def test_the_last_single_recipients_are_kept(client):
    client.send(*range(MOST_SINGLES * 4))
    client.send(TRAP)
    for one in range(1, 4):
        client.send(one)
    assert client.send(4).keys == client.keys


def test_a_deeper_chain_to_a_set_replaces_it(client):
    client.send(*range(6))
    client.send(*range(20))
    client.send(*range(14))
    client.send(*range(9))
    assert client.send(*range(6)).chain == 3
    assert client.send(*range(4)).chain == 4


@given(st.integers(2, 120), st.integers(0, 20), st.randoms(use_true_random=False))
def test_nine_tenths_of_the_recipients_have_to_be_in_the_set(inside, outside, random):
    sets = Bisecting()
    client = Client(sets)
    client.send(*range(MOST_RECIPIENTS))
    within = [TRAP, *random.sample(range(1, MOST_RECIPIENTS), inside - 1)]
    asked = frozenset([*within, *range(1000, 1000 + outside)])
    probe = Probe(NOW, asked, "2b", client.keys)
    assert sets.concerns(probe) == (inside >= CONTAINED * (inside + outside))


PROBES = st.builds(
    Probe,
    at=st.floats(NOW, NOW + 2 * KEPT),
    recipients=st.frozensets(st.integers(0, 12), max_size=10),
    source=st.sampled_from(["2a", "2b", "2c"]),
    keys=st.sampled_from([(), ("2a",), ("2b", "dx.example"), ("dx.example",)]),
    refused=st.booleans(),
    traps=st.sampled_from([(), ("trap@example.com",)]),
)


@given(st.lists(PROBES, max_size=60), st.integers(1, 6), st.integers(1, 4))
def test_the_memory_is_bounded_and_a_finding_is_about_the_probe(probes, most, most_of_source):
    sets = Bisecting(most, most_of_source)
    for probe in probes:
        concerned = sets.concerns(probe)
        found = sets.observe(probe)
        assert len(sets) <= min(most, 3 * most_of_source)
        if found is not None:
            assert concerned
            assert found.traps or found.keys or found.chain >= 3
            assert set(found.keys) <= set(probe.keys)


@given(st.lists(PROBES, max_size=60))
def test_without_a_refusal_there_is_no_finding(probes):
    sets = Bisecting()
    for probe in probes:
        passed = Probe(probe.at, probe.recipients, probe.source, probe.keys)
        assert sets.observe(passed) is None
    assert len(sets) == 0


@given(st.lists(PROBES, max_size=80))
def test_a_cluster_is_flagged_only_after_three_of_its_own_probes(probes):
    sets, own = Bisecting(), {}
    for probe in probes:
        found = sets.observe(probe)
        for key in probe.keys:
            own[key] = own.get(key, 0) + 1
        for key in () if found is None else found.keys:
            assert own[key] >= 3


@given(st.integers(12, MOST_RECIPIENTS), st.integers())
def test_a_client_that_bisects_at_random_is_flagged(most, seed):
    sets, random = Bisecting(), Random(seed)
    client = Client(sets)
    suspicious = list(range(most))
    random.shuffle(suspicious)
    found = [client.send(*suspicious)]
    while len(suspicious) > 1:
        random.shuffle(suspicious)
        half = suspicious[: (len(suspicious) + 1) // 2]
        found.append(client.send(*half))
        suspicious = half if TRAP in half else suspicious[len(half) :]
    found.append(client.send(TRAP))
    assert any(one is not None and one.keys for one in found)


def test_the_limits_fit_together():
    assert MOST_OF_SOURCE * 10 < MOST_SETS


def test_the_limits_on_the_page():
    path = Path(__file__).parents[2] / "docs" / "shipped" / "trap_probes.md"
    page = " ".join(path.read_text("utf-8").split())
    assert f"({CONTAINED:.0%}) in the set".replace("%", " %") in page
    assert f"at most {MOST_RECIPIENTS} recipients" in page
    assert f"keeps {MOST_SETS:,} sets, and {MOST_OF_SOURCE} of each network" in page
    assert f"the last {MOST:,} entries" in page
    words = ("at least three", "seven days", "chain of three", "five different", "three quarters")
    assert all(one in page for one in words)
    assert (LEAST, KEPT / DAY, CHAIN, SINGLES, SHRUNK) == (3, 7, 3, 5, 0.75)
