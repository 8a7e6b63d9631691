"""Clients and authenticated domains get points by what was learned about them."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.plugins.states import (
    LOGIN,
    OPEN,
    WITH_AUTH,
    Add,
    Login,
    Results,
    Trouble,
    TroubledStore,
    mail,
    make_session,
    make_transaction,
    message,
    troubled,
)

from gatepost import Plugin, deny
from gatepost.plugin.base import Installed
from gatepost.plugins import _decay
from gatepost.plugins.reputation import MOST_BAD, MOST_DOMAINS, PLENTY, SAMPLE, Counts, Reputation
from gatepost.testing import MemoryStore, VirtualClock, memory_store, play

NETWORK = "network 192.0.2.0/24"
SPF = Add(mail=(("spf", "pass", {}),))
UNKNOWN = mail("550 5.1.1*", rcpt="nobody@example.com")
KNOWN = {
    "recipients": {"domains": ["example.com"], "known": ["user@example.com"]},
    "limits": {"errors": 1000},
}
DAY = 86_400


class Refuse(Plugin):
    """Refuse the content of mail from spam.example."""

    after = ("reputation",)

    def on_message(self, tx):
        return deny("spam") if tx.reverse_path.domain == "spam.example" else None


class Memory:
    """Sessions of one client, one after the other, with one store."""

    def __init__(self, *plugins, store=None, **options):
        self.plugins, self.options = plugins, options
        self.store = store or MemoryStore()
        self.seen = Results()
        self.played = None

    def play(self, transcript, day=1, month=1, hello=OPEN, **more):
        more = {"config": KNOWN, "now": f"2024-{month:02}-{day:02}", **more}
        plugins = [*self.plugins, Reputation(**self.options), self.seen]
        self.played = play(hello + transcript, plugins, store=self.store, **more)

    @property
    def result(self):
        """The value and the facts of the last transaction."""
        [(value, facts)] = self.seen.of("reputation")
        return value, facts

    @property
    def score(self):
        return self.result[1]["score"]


def test_a_client_without_a_history_gets_no_points():
    memory = Memory()
    memory.play(mail())
    facts = {"score": 0.0, "subjects": f"{NETWORK}: 0.0 good, 0.0 bad"}
    assert memory.result == ("unknown", facts)


def test_accepted_mail_is_in_favour_of_a_client():
    memory = Memory()
    memory.play(message() * 5)
    memory.play(message())
    shown = f"{NETWORK}: 5.0 good, 0.0 bad"
    assert memory.result == ("good", {"score": round(-2 * 5 / 15, 2), "subjects": shown})
    assert memory.played.metrics.value("gatepost_plugin_reputation_judged", result="good") == 1


def test_unknown_recipients_are_against_a_client():
    memory = Memory()
    memory.play(UNKNOWN * 10)
    memory.play(mail(), peer=("192.0.2.99", 1))
    shown = f"{NETWORK}: 0.0 good, 10.0 bad"
    assert memory.result == ("bad", {"score": 2.0, "subjects": shown})
    memory.play(mail(), peer=("198.51.100.1", 1))
    assert memory.result[0] == "unknown"


TRAP = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<trap@example.com>
    S: 250
    C: DATA
    S: 554
"""


@pytest.mark.parametrize(
    ("transcript", "bad"),
    [
        (UNKNOWN, 1),
        ("    C: RCPT\n    S: 5*\n", 0.5),
        (message("a@spam.example", end=554), 5),
        (TRAP, 20),
    ],
)
def test_what_counts_against_a_client(transcript, bad):
    memory = Memory(Refuse())
    memory.play(transcript, traps=["trap@example.com"])
    memory.play(mail())
    total = float(memory.result[1]["subjects"].split()[-2])
    assert total == pytest.approx(bad, abs=1.01 if bad == 20 else 0.05)


def test_a_bounce_to_a_trap_does_not_count_against_a_client():
    memory = Memory(Refuse())
    memory.play(TRAP.replace("a@client.example", ""), traps=["trap@example.com"])
    memory.play(mail())
    assert memory.result[0] == "unknown"


def test_a_listed_client_is_not_good():
    memory = Memory(Add(connect=(("dnsbl", "listed", {"list": "bl.example"}),)))
    memory.play(message() * 2)
    memory.play(mail())
    assert memory.result[1]["subjects"] == f"{NETWORK}: 0.0 good, 4.0 bad"


def test_mail_that_others_suspect_is_not_good():
    memory = Memory(Add(mail=(("other", "bad", {"score": 2}),)))
    memory.play(message())
    memory.play(mail())
    assert memory.result[0] == "unknown"


def test_mail_that_could_not_be_checked_is_not_good():
    memory = Memory(Add(mail=(("spf", "temperror", {}),)))
    memory.play(message())
    memory.play(mail())
    assert memory.result[0] == "unknown"


def test_its_own_points_do_not_feed_a_reputation():
    memory = Memory()
    memory.play(UNKNOWN * 30)
    memory.play(message())
    assert memory.score == 3
    memory.play(mail())
    assert memory.result[1]["subjects"] == f"{NETWORK}: 1.0 good, 30.0 bad"


def test_what_a_session_does_counts_in_the_same_session():
    memory = Memory()
    memory.play(UNKNOWN * 10 + mail())
    assert memory.score == 2


def test_points_decay():
    memory = Memory()
    memory.play(UNKNOWN * 10, day=1)
    memory.play(mail(), day=8)
    assert memory.result[1]["subjects"] == f"{NETWORK}: 0.0 good, 5.0 bad"
    memory.play(mail(), day=15)
    assert memory.result[1]["subjects"] == f"{NETWORK}: 0.0 good, 2.5 bad"
    memory.play(mail(), month=12)
    assert memory.result[0] == "unknown"
    assert memory.store.values("reputation") == {}


def test_domains_that_spf_or_dkim_has_confirmed_have_a_reputation_in_any_network():
    dkim = Add(
        mail=(("spf", "pass", {}),),
        message=(
            ("dkim", "pass", {"domain": "Signed.example"}),
            ("dkim", "fail", {"domain": "forged.example"}),
        ),
    )
    memory = Memory(dkim)
    memory.play(message() * 2)
    memory.play(message(), peer=("198.51.100.1", 1))
    assert memory.result[1]["subjects"] == (
        "network 198.51.100.0/24: 0.0 good, 0.0 bad; domain client.example: 2.0 good, 0.0 bad; "
        "domain signed.example: 2.0 good, 0.0 bad"
    )
    assert memory.score == round(2 * -2 * 2 / 12, 2)


def test_a_domain_that_is_not_confirmed_has_no_reputation():
    memory = Memory()
    memory.play(message())
    keys = memory.store.values("reputation")
    assert keys
    assert all("network" in key for key in keys)


def test_a_message_counts_for_few_domains():
    names = [("dkim", "pass", {"domain": f"d{number}.example"}) for number in range(50)]
    memory = Memory(Add(message=tuple(names)))
    memory.play(message())
    assert len(memory.store.values("reputation")) <= 2 * (1 + MOST_DOMAINS)


def test_one_session_has_a_limit_of_bad_points():
    memory = Memory(fault=40)
    memory.play("    C: RCPT\n    S: 5*\n" * 5)
    memory.play(mail())
    assert memory.result[1]["subjects"] == f"{NETWORK}: 0.0 good, {MOST_BAD} bad"


def test_the_as_can_have_a_reputation():
    geo = Add(connect=(("geo", "found", {"asn": 64500}),))
    memory = Memory(geo, subjects=["asn"])
    memory.play(UNKNOWN)
    memory.play(mail(), peer=("198.51.100.1", 1))
    assert memory.result[1]["subjects"] == "asn 64500: 0.0 good, 1.0 bad"


@pytest.mark.parametrize(
    ("reaction", "reply"),
    [
        ("deny", "550 5.7.1 Mail from 192.0.2.0/24 has a bad reputation*"),
        ("defer", "450 4.7.1 Mail from 192.0.2.0/24 has a bad reputation*"),
        ("none", 250),
    ],
)
def test_a_bad_reputation_can_be_refused_with_enough_evidence(reaction, reply):
    memory = Memory(refuse=reaction)
    memory.play(UNKNOWN * 29)
    memory.play(mail())
    memory.play(UNKNOWN)
    memory.play(f"    C: MAIL FROM:<a@client.example>\n    S: {reply}\n")


@pytest.mark.parametrize("hour", range(24))
def test_points_that_just_suffice_do_so_a_minute_later_at_any_time(hour):
    memory = Memory(refuse="deny", refuse_evidence=3)
    memory.play(UNKNOWN * 3, now=f"2024-01-05T{hour:02}:00:00")
    now = f"2024-01-05T{hour:02}:01:00"
    memory.play("    C: MAIL FROM:<a@client.example>\n    S: 550 5.7.1 *\n", now=now)


def test_points_for_a_refused_reputation_come_on_top():
    memory = Memory(refuse=7)
    memory.play(UNKNOWN * 40)
    memory.play(mail())
    assert memory.score == round(4 * 40 / 50 + 7, 2)


def test_in_shadow_mode_it_learns_and_refuses_nothing():
    store = MemoryStore()
    for _ in range(2):
        plugins = [Installed(Reputation(refuse="deny"), shadow=True)]
        play(OPEN + UNKNOWN * 40, plugins, store=store, config=KNOWN)
    assert len(store.values("reputation")) in (1, 2)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "fe80::1%eth0", ""])
def test_clients_inside_have_no_reputation(host):
    memory = Memory()
    memory.play(UNKNOWN, peer=(host, 1))
    assert memory.store.values("reputation") == {}


def test_authenticated_clients_have_no_reputation():
    memory = Memory(Login())
    before = LOGIN.replace("    C: EHLO", "    C: RCPT\n    S: 5*\n    C: EHLO")
    memory.play(UNKNOWN, hello=before, config={**KNOWN, **WITH_AUTH})
    assert memory.store.values("reputation") == {}


def test_of_a_subject_with_plenty_of_good_mail_few_messages_are_written():
    clock = VirtualClock()
    plugin = Reputation(prior=1)
    plugin.clock, plugin.store = clock, memory_store(clock)
    written = 0

    async def session(number):
        tx = make_transaction(session=make_session(number=number))
        await plugin.on_mail(tx, None)
        plugin.on_delivered(tx)
        account = tx.session.notes["reputation"]
        found, learned = account.known[NETWORK].good, account.learned.get(NETWORK, Counts()).good
        await plugin.on_disconnect(tx.session)
        return found, learned

    found = [asyncio.run(session(number)) for number in range(400)]
    written = [learned for before, learned in found if before >= PLENTY]
    assert set(written) == {0, SAMPLE}
    assert sum(written) == pytest.approx(len(written), rel=0.3)
    assert found[-1][0] == pytest.approx(400, rel=0.3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"half_life": "1m"}, "expected a half_life from 1h to 366d"),
        ({"prior": 0}, "expected prior above 0"),
        ({"refuse_share": 1.1}, "refuse_share above 0, at most 1"),
        ({"trap": -1}, "expected points of 0 or more"),
        ({"subjects": ["helo"]}, "subjects"),
        ({"ipv6_prefix": 0}, "ipv6_prefix from 16 to 128"),
    ],
)
def test_wrong_options(options, expected):
    with pytest.raises(ValueError, match=expected):
        Reputation(**options)


# What a client gets while the store fails


@pytest.mark.parametrize("kind", ["down", "late"])
def test_there_is_no_opinion_while_the_store_does_not_answer(kind):
    memory = Memory(refuse="deny", store=TroubledStore(kind))
    memory.play(UNKNOWN * 40 + mail())
    assert memory.result == ("temperror", {})


def test_what_is_known_still_counts_while_the_store_is_read_only():
    store = TroubledStore()
    memory = Memory(Trouble(store), store=store)
    memory.play(UNKNOWN * 10)
    memory.play(troubled("read-only") + UNKNOWN)
    store.trouble("")
    memory.play(mail())
    assert memory.score == 2


def test_an_outage_in_a_session_takes_nothing_back():
    store = TroubledStore()
    memory = Memory(Trouble(store), store=store)
    memory.play(UNKNOWN * 10)
    memory.play(mail() + troubled("down") + mail())
    assert memory.score == 2


def test_a_store_that_was_emptied_has_no_opinion():
    memory = Memory(refuse="deny")
    memory.play(UNKNOWN * 30)
    memory.store = MemoryStore()
    memory.play(mail())
    assert memory.result[0] == "unknown"


def test_a_real_store_keeps_what_was_learned(play_real):
    seen = Results()
    for transcript in (UNKNOWN * 10, mail()):
        play_real(OPEN + transcript, [Reputation(), seen], config=KNOWN)
    assert seen.of("reputation")[0][1]["score"] == 2


@pytest.mark.slow
def test_there_is_no_opinion_while_redis_never_answers(play_silent):
    seen = Results()
    play_silent(OPEN + mail(), [Reputation(), seen])
    assert seen.of("reputation") == [("temperror", {})]


def test_a_value_of_another_program_counts_nothing():
    store = MemoryStore()
    number = _decay.current(VirtualClock().time(), 7 * DAY).number
    store.put("reputation", f"{number} bad {NETWORK}", "text")
    memory = Memory(store=store)
    memory.play(mail())
    assert memory.result[0] == "unknown"


# Decay


def counted(events, now, half_life=1000.0):
    """Return the count now of events, each (time, points), as counters of a store."""
    counters = {}
    for moment, points in events:
        for epoch in _decay.written(moment, half_life):
            by = round(points * epoch.weight)
            counters[epoch.number] = counters.get(epoch.number, 0) + by
    epoch = _decay.current(now, half_life)
    return counters.get(epoch.number, 0) / epoch.weight


EVENTS = st.lists(
    st.tuples(st.floats(1e6, 1e6 + 50_000), st.integers(1, 50)), min_size=1, max_size=20
)


@given(EVENTS, st.floats(0, 20_000))
@example([(999_000.0, 10)], 2000.0)  # an epoch begins at 1,000,000
@example([(999_000.0, 10), (1_000_500.0, 10)], 7400.0)
def test_a_count_is_that_of_exponential_decay_but_for_what_is_old(events, later):
    now = max(moment for moment, _ in events) + later
    total = sum(points * 2 ** ((moment - now) / 1000) for moment, points in events)
    old = sum(
        points * 2 ** ((moment - now) / 1000)
        for moment, points in events
        if now - moment >= _decay.OVERLAP * 1000
    )
    found = counted(events, now)
    assert total - old - 0.05 * len(events) <= found <= total + 0.05 * len(events)


@given(st.floats(0, 1e10), st.floats(3600, 366 * DAY))
def test_a_counter_lives_until_its_epoch_ends(now, half_life):
    for epoch in _decay.written(now, half_life):
        end = (epoch.number + 1) * _decay.LENGTH * half_life
        assert now + epoch.ttl >= end * (1 - 1e-9)
        assert 1 <= epoch.weight <= _decay.UNIT * 2**_decay.LENGTH * 1.001


def test_an_older_counter_expires_later():
    first, second = (next(_decay.written(now, 1000.0)) for now in (8000.0, 12_000.0))
    assert 8000 + first.ttl > 12_000 + second.ttl
