"""Whole simulations: small ones, through the real engine."""

import dataclasses

import pytest
from sim.actors.actor import Extent
from sim.actors.attackers import Disarmer, Poisoner, ReplayFramer, SharedFramer, SignUpFramer
from sim.actors.bulk import Newsletters
from sim.actors.correspondents import Correspondents
from sim.actors.spammers import DictionaryVerifier, Snowshoe, SortedBlaster
from sim.control import controls
from sim.metrics import Metrics
from sim.policy.settings import ABLATIONS, DEFAULT, LADDER, PATIENT, REGISTERED
from sim.simulation import Plan, simulate

MARKS, REFUSES = LADDER[DEFAULT], LADDER["+ memory refuses"]
PLAN = Plan((Correspondents, Snowshoe, SortedBlaster), "small", Extent(days=2.0))


def figures(metrics: Metrics):
    return dataclasses.replace(metrics, seconds=0.0)


def test_the_same_seed_gives_the_same_result():
    assert figures(simulate(PLAN, REFUSES, 7)) == figures(simulate(PLAN, REFUSES, 7))


def test_another_seed_gives_another_result():
    assert figures(simulate(PLAN, REFUSES, 7)) != figures(simulate(PLAN, REFUSES, 8))


def test_legitimate_mail_of_a_site_without_spam_is_accepted():
    plan = Plan((Correspondents, Newsletters), "small", Extent(days=3.0))
    count = simulate(plan, REFUSES, 1).all_legitimate()
    assert count.messages > 500
    assert count.refused == 0


def test_a_memory_that_refuses_stops_a_snowshoe_campaign():
    plan = Plan((Snowshoe,), "small", Extent(days=5.0))
    assert simulate(plan, LADDER["lists"], 1).all_spam().coverage == 0
    assert simulate(plan, MARKS, 1).all_spam().coverage == 0
    assert simulate(plan, MARKS, 1).all_spam().touched > 0.8
    assert simulate(plan, REFUSES, 1).all_spam().coverage > 0.8


def test_a_dictionary_attack_ends_at_the_limit_of_errors_or_is_refused():
    plan = Plan((DictionaryVerifier,), "small", Extent(days=10.0))
    limited = simulate(plan, PATIENT["errors = 20"], 1).spam_of("S1 dictionary", "verify")
    patient = simulate(plan, PATIENT["errors = 200"], 1).spam_of("S1 dictionary", "verify")
    assert limited.cut == limited.messages > 0
    assert patient.refused == patient.messages > 0


def test_a_dictionary_attack_succeeds_without_both():
    plan = Plan((DictionaryVerifier,), "small", Extent(days=10.0))
    neither = simulate(plan, PATIENT["errors = 200, no many unknown"], 1)
    found = neither.spam_of("S1 dictionary", "verify")
    assert found.refused + found.cut < found.messages


def few(attacker):
    """Return the attacker with a tenth of the attempts."""
    return type(attacker.__name__, (attacker,), {"attempts": 100})


@pytest.mark.parametrize("framer", [SignUpFramer, ReplayFramer])
def test_a_framer_does_not_succeed(framer):
    plan = Plan((few(framer),), "small", Extent(days=3.0))
    (count,) = simulate(plan, REFUSES, 1).tests.values()
    assert (count.messages, count.refused) == (100, 0)


def test_a_claimed_domain_would_be_framed_without_the_proof_of_domains():
    plan = Plan((few(ReplayFramer),), "small", Extent(days=3.0))
    (count,) = simulate(plan, ABLATIONS["no proof of domains"], 1).tests.values()
    assert (count.messages, count.refused) == (100, 100)


def test_a_service_is_shared_after_30_days_and_by_the_shipped_list_at_once():
    plan = Plan((few(SharedFramer),), "small", Extent(days=34.0))
    tests = simulate(plan, REFUSES, 1).tests
    name = SharedFramer.name
    assert tests[name, "test"].refused == 0
    assert tests[name, "test unlisted, after 30 days"].refused == 0
    assert tests[name, "test unlisted, before"].refused > 0


def test_a_disarmer_does_not_disarm_a_trap_and_correspondents_lose_nothing():
    metrics = simulate(Plan((few(Disarmer),), "small", Extent(days=3.0)), MARKS, 1)
    (count,) = metrics.tests.values()
    assert (count.messages, count.refused) == (100, 100)
    assert metrics.all_legitimate().refused == 0


def test_learned_traps_are_neither_poisoned_nor_disarmed():
    plan = Plan((few(Poisoner), few(Disarmer)), "small", Extent(days=3.0))
    metrics = simulate(plan, REGISTERED["and trap_guard"], 1)
    assert metrics.tests[Poisoner.name, "test"].refused == 0
    assert metrics.tests[Disarmer.name, "test"].refused == 100
    assert metrics.all_legitimate().refused == 0


def test_the_control_agrees_with_theory_within_5_points():
    for one in controls(MARKS, 1, campaigns=60):
        assert one.touched == pytest.approx(one.expected, abs=0.05)
