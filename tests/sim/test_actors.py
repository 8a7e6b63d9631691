"""The shape of what each actor sends: within bounds, for several seeds."""

from collections import Counter
from itertools import pairwise
from statistics import mean

import pytest
from sim.actors.actor import Extent
from sim.actors.attackers import Flooder, Mixer, Poisoner, WarmUp
from sim.actors.correspondents import Correspondents, mistyped
from sim.actors.machines import Backscatter, ListBombing, Robots
from sim.actors.registry import ATTACKERS, HONEST, SPAMMERS
from sim.actors.spammers import Botnet, DictionaryVerifier, Harvester, Snowshoe, SortedBlaster
from sim.draw import DAY, generator
from sim.sessions import Answer, Intent, Kind
from sim.world import SIZES, World

SEEDS = (1, 2, 3)


def sessions_of(actor, seed=1, days=10.0, accepts=()):
    """Run an actor; recipients get 250 if they are users or in `accepts`, else 550."""
    world = World(SIZES["small"], seed)
    run, outcome, found = actor(world, Extent(days)).run(), None, []
    while True:
        try:
            session = next(run) if outcome is None else run.send(outcome)
        except StopIteration:
            return world, found
        found.append(session)
        exist = world.user_set | set(accepts)
        outcome = tuple(
            Answer(tuple(250 if rcpt.address in exist else 550 for rcpt in one.recipients))
            for one in session.messages
        )


def messages_of(sessions):
    return [one for session in sessions for one in session.messages]


@pytest.mark.parametrize("actor", [*HONEST, *SPAMMERS, *ATTACKERS])
def test_the_times_of_an_actor_never_go_back(actor):
    _, found = sessions_of(actor, days=20.0)
    assert found
    assert all(one.time <= two.time for one, two in pairwise(found))


@pytest.mark.parametrize("actor", [*HONEST, *SPAMMERS, *ATTACKERS])
def test_the_same_seed_gives_the_same_sessions(actor):
    assert sessions_of(actor, days=5.0)[1] == sessions_of(actor, days=5.0)[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_correspondents_name_several_users_in_about_6_percent_of_messages(seed):
    _, found = sessions_of(Correspondents, seed)
    several = [len(one.recipients) > 1 for one in messages_of(found)]
    assert 0.035 < mean(several) < 0.1
    assert all(one.kind is Kind.LEGITIMATE for one in messages_of(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dictionary_transaction_has_99_words_and_a_random_name(seed):
    _, found = sessions_of(DictionaryVerifier, seed, days=30.0)
    verifying = [one for one in messages_of(found) if one.label == "verify"]
    assert {len(one.recipients) for one in verifying} == {100}
    assert len({one.recipients[-1] for one in verifying}) == len(verifying)
    hosts = Counter(one.client.rpartition(".")[0] for one in found)
    assert all(number >= 11 for number in hosts.values())


def test_a_dictionary_attack_returns_to_the_addresses_that_exist():
    _, found = sessions_of(DictionaryVerifier, days=30.0)
    returning = [one for one in messages_of(found) if one.label == "return"]
    assert returning
    assert all(one.recipients[0].intent is Intent.LIST for one in returning)


def test_a_dictionary_attack_ends_before_data_if_no_address_exists():
    world, found = sessions_of(DictionaryVerifier, days=30.0)
    for one in messages_of(found):
        if one.label == "verify":
            live = any(rcpt.address in world.user_set for rcpt in one.recipients)
            assert one.probe is not live


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sorted_list_is_sent_in_batches_of_neighbours(seed):
    world, found = sessions_of(SortedBlaster, seed)
    batches = [[rcpt.address for rcpt in one.recipients] for one in messages_of(found)]
    assert all(batch == sorted(batch) for batch in batches)
    assert max(map(len, batches)) <= 24
    named = {address for batch in batches for address in batch}
    live = sum(batch_of in world.user_set for batch in batches for batch_of in batch)
    assert 0.05 < live / sum(map(len, batches)) < 0.2
    assert named


@pytest.mark.parametrize("seed", SEEDS)
def test_a_snowshoe_campaign_has_one_network_and_several_domains(seed):
    _, found = sessions_of(Snowshoe, seed)
    networks = {}
    for session in found:
        (one,) = session.messages
        assert len(one.recipients) == 1
        assert one.facts.spf
        networks.setdefault(one.campaign, set()).add(session.client.rpartition(".")[0])
    assert all(len(found) == 1 for found in networks.values())
    domains = Counter(name for name in {(one.campaign, one.sender) for one in messages_of(found)})
    assert len(domains) > 3 * len(networks)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_botnet_has_one_recipient_in_99_percent_of_messages(seed):
    _, found = sessions_of(Botnet, seed)
    single = mean(len(one.recipients) == 1 for one in messages_of(found))
    assert 0.975 < single < 0.998
    assert not any(one.facts.spf for one in messages_of(found))


def test_a_harvester_mails_message_identifiers_and_waits_some_days():
    world, found = sessions_of(Harvester, days=60.0)
    named = {rcpt.address for one in messages_of(found) for rcpt in one.recipients}
    assert named & set(world.message_ids)
    assert found[0].time > DAY


def test_a_burst_of_bounces_comes_from_12_networks_and_almost_never_has_a_sender():
    _, found = sessions_of(Backscatter, days=40.0)
    bounces = [one for one in found if one.messages[0].label == "bounce"]
    assert len(bounces) % 12 == 0
    assert len({one.client for one in bounces}) == len(bounces)
    assert mean(one.messages[0].sender == "" for one in bounces) > 0.8


def test_robots_send_no_message():
    _, found = sessions_of(Robots, days=10.0)
    assert all(one.probe and one.sender == "" for one in messages_of(found))


def test_list_bombing_hits_one_user_and_guessable_names():
    world, found = sessions_of(ListBombing, days=10.0)
    targets = Counter(
        one.recipients[0].address for one in messages_of(found) if one.label == "confirmation"
    )
    assert targets.most_common(1)[0][0] in world.user_set
    assert set(targets) - world.user_set <= set(world.guessable)


def test_the_mixer_names_users_among_its_words():
    world, found = sessions_of(Mixer, days=30.0)
    verifying = [one for one in messages_of(found) if one.label == "verify"]
    assert all(any(rcpt.address in world.user_set for rcpt in one.recipients) for one in verifying)


def test_a_warm_up_sends_two_weeks_of_harmless_mail_first():
    _, found = sessions_of(WarmUp, days=20.0)
    harmless = [one.time for one in found if one.messages[0].label == "warm-up"]
    assert max(harmless) - min(harmless) > 12 * DAY
    assert min(one.time for one in found if one.messages[0].kind is Kind.SPAM) > max(harmless)


def test_a_poisoned_address_becomes_a_user_before_the_test():
    world, found = sessions_of(Poisoner, days=10.0)
    tests = [one for one in messages_of(found) if one.label == "test"]
    assert len(tests) == 1000
    assert {one.recipients[0].address for one in tests} <= world.user_set


def test_a_flood_has_20_000_recipients_in_an_hour():
    _, found = sessions_of(Flooder, days=10.0)
    assert sum(len(one.recipients) for one in messages_of(found)) >= 19_990
    assert found[-1].time - found[0].time <= 3600


def test_a_mistyped_address_differs_from_the_right_one():
    chance = generator(1, "test")
    typos = {mistyped(chance, "anna.miller@site1.example") for _ in range(200)}
    assert len(typos) > 20
    assert all(one.endswith("@site1.example") for one in typos)
    assert "anna.miller@site1.example" not in typos
