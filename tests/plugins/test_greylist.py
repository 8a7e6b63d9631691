"""The first attempts of unknown clients and senders are deferred."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.plugins.states import (
    LOGIN,
    OPEN,
    SEND,
    WITH_AUTH,
    Add,
    Login,
    Results,
    Trouble,
    TroubledStore,
    mail,
    make_recipient,
    make_session,
    make_transaction,
    message,
    troubled,
)

from gatepost.plugin.base import Installed
from gatepost.plugins._greylisting import MOST_SUCCESSES, judge, stable_local, with_success
from gatepost.plugins.greylist import CHUNK, Greylist, _entry, _Finding
from gatepost.testing import MemoryStore, VirtualClock, memory_store, play

NEW = "450 4.7.1 Greylisted, try again in 5 minutes*"
AT_DATA = "451 4.7.1 Greylisted, try again in 5 minutes*"
SPF = Add(mail=(("spf", "pass", {}),))


def outcomes(played):
    """Return the outcomes that were counted."""
    return {one.labels["outcome"]: one.value for one in played.metrics if one.value}


def passes(*transcripts, peers=("192.0.2.1",), plugins=(), store=None, **options):
    """Play sessions one after the other, five minutes apart; each needs a peer or has the last."""
    store = store or MemoryStore()
    for number, transcript in enumerate(transcripts):
        now = f"2024-01-01T{number // 12:02}:{number % 12 * 5:02}"
        peer = (peers[min(number, len(peers) - 1)], 1)
        play(OPEN + transcript, [*plugins, Greylist(**options)], store=store, now=now, peer=peer)


def test_a_retry_after_the_delay_is_accepted():
    early = mail("450 4.7.1 Greylisted, try again in 4 minutes*")
    played = play(f"{OPEN}{mail(NEW)}T: 1m\n{early}T: 4m\n{mail()}{mail()}", [Greylist()])
    assert outcomes(played) == {"new": 1, "early": 1, "passed": 1, "known": 1}
    assert [one.reason for one in played.decisions] == ["greylist-new", "greylist-early"]


def test_the_result_has_the_key():
    results = Results()
    play(OPEN + mail(NEW, rcpt="User+tag@Example.com"), [Greylist(), results])
    key = "192.0.2.0/24 client.example user@example.com"
    assert results.of("greylist") == [("new", {"key": key, "wait": 300})]


def test_in_shadow_mode_nothing_is_deferred():
    played = play(OPEN + mail(), [Installed(Greylist(), shadow=True)])
    assert outcomes(played) == {"new": 1}


def test_a_retry_after_the_window_is_a_first_attempt():
    passed = mail(NEW) + "T: 3h\n" + mail(NEW) + "T: 1h\n" + mail()
    play(OPEN + passed, [Greylist(window="2h")])


def test_a_known_sender_is_kept_while_it_sends():
    used = "".join(f"T: 20d\n{mail()}" for _ in range(3))
    play(f"{OPEN}{mail(NEW)}T: 5m\n{mail()}{used}T: 37d\n{mail(NEW)}", [Greylist()])


def test_another_sender_or_recipient_is_another_key():
    others = mail(NEW, sender="a@other.example") + mail(NEW, rcpt="other@example.com")
    same = mail(sender="b@Client.Example")
    play(f"{OPEN}{mail(NEW)}T: 5m\n{others}{same}", [Greylist()])


@pytest.mark.parametrize(
    ("first", "second", "reply"),
    [
        ("192.0.2.1", "192.0.2.254", 250),
        ("192.0.2.1", "198.51.100.1", NEW),
        ("192.0.2.1", "::ffff:192.0.2.9", 250),
        ("192.0.2.1", "2002:c000:209::1", 250),
        ("192.0.2.1", "64:ff9b::192.0.2.9", 250),
        ("2001:db8::1", "2001:db8::ffff:1", 250),
        ("2001:db8::1", "2001:db8:0:1::1", NEW),
    ],
)
def test_a_client_is_its_network(first, second, reply):
    passes(mail(NEW), mail(reply), peers=(first, second))


def test_the_length_of_a_network_is_an_option():
    peers = ("192.0.2.1", "192.0.3.1")
    passes(mail(NEW), mail(), peers=peers, ipv4_prefix=16)
    passes(mail(NEW), mail(NEW), peers=("192.0.2.1", "192.0.2.2"), ipv4_prefix=32)


def test_a_domain_that_spf_has_confirmed_may_try_again_from_any_network():
    peers = ("192.0.2.1", "198.51.100.1")
    passes(mail(NEW), mail(), peers=peers, plugins=[SPF])
    passes(mail(NEW), mail(NEW), peers=peers, plugins=[SPF], spf_origin=False)


@pytest.mark.parametrize(
    ("options", "transcript"),
    [
        ({"exempt_clients": ["192.0.2.0/24"]}, mail()),
        ({"exempt_senders": ["@client.example"]}, mail()),
        ({"exempt_recipients": ["user@example.com"]}, mail()),
        ({"exempt_recipients": ["other@example.com"]}, mail(NEW)),
        ({"exempt_spf": ["client.example"]}, mail()),
        ({"exempt_spf": ["other.example"]}, mail(NEW)),
        ({"delay": 0}, mail()),
    ],
)
def test_exemptions(options, transcript):
    played = play(OPEN + transcript, [SPF, Greylist(**options)])
    assert bool(outcomes(played)) == (NEW in transcript)


def test_a_domain_that_spf_has_not_confirmed_is_not_exempt():
    play(OPEN + mail(NEW), [Greylist(exempt_spf=["client.example"])])


def test_a_list_of_exemptions_can_be_a_file(tmp_path):
    (tmp_path / "exempt").write_text("192.0.2.0/24\n")
    play(OPEN + mail(), [Greylist(exempt_clients=[f"file:{tmp_path}/exempt"])])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1%eth0", "::ffff:10.0.0.1"]
)
def test_clients_inside_are_not_deferred(host):
    passes(mail(), peers=(host,))


def test_a_client_without_an_address_is_not_deferred():
    passes(mail(), peers=("",))


def test_authenticated_clients_are_not_deferred():
    play(LOGIN + mail(), [Login(), Greylist()], config=WITH_AUTH)


def test_clients_of_relay_networks_are_not_deferred():
    config = {"route": [{"to": "discard:", "relay_for": ["192.0.2.0/24"]}]}
    play(OPEN + mail(), [Greylist()], config=config)


def test_the_recipients_of_a_domain_have_options_of_their_own():
    plugin = Greylist(options_for={"fast.example": {"delay": 0}, "slow.example": {"delay": "2h"}})
    config = {"recipients": {"domains": ["example.com", "fast.example", "slow.example"]}}
    slow = mail("450 4.7.1 Greylisted, try again in 2 hours*", rcpt="a@slow.example")
    play(OPEN + mail(rcpt="a@fast.example") + slow + mail(NEW), [plugin], config=config)


def test_the_null_sender_is_deferred_at_data():
    rcpt = "C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<user@example.com>\nS: 250\n"
    deferred = f"{OPEN}{rcpt}C: DATA\nS: {AT_DATA}\n"
    played = play(f"{deferred}T: 5m\n{rcpt}{SEND}", [Greylist()])
    assert outcomes(played) == {"new": 1, "passed": 1}


def test_the_null_sender_can_be_deferred_at_rcpt_or_not_at_all():
    play(OPEN + mail(NEW, sender=""), [Greylist(null_sender="rcpt")])
    play(OPEN + message(sender=""), [Greylist(null_sender="skip")])


def test_at_data_there_is_one_answer_for_all_recipients():
    two = """
    C: MAIL FROM:<a@client.example>
    C: RCPT TO:<one@example.com>
    C: RCPT TO:<two@example.com>
    S: 250
    S: 250
    S: 250
    """
    one = message(rcpt="one@example.com")
    deferred = f"{two}C: DATA\nS: {AT_DATA}\n"
    first = f"{mail(rcpt='one@example.com')}"
    plugin = Greylist(at="data")
    played = play(f"{OPEN}{first}{deferred}T: 5m\n{one}{two}{SEND}", [plugin])
    assert outcomes(played) == {"new": 2, "passed": 2, "known": 1}


def test_more_recipients_than_a_batch_takes_are_read_in_several():
    plugin = Greylist(at="data", window="1h")
    tx = make_transaction()
    tx.notes[plugin.name] = True
    recipients = [make_recipient(f"u{number}@example.com") for number in range(CHUNK + 1)]
    decision = asyncio.run(plugin._decide(tx, recipients))
    assert decision.reason == "greylist-new"
    assert len(tx.results) == 1


def test_a_network_is_trusted_after_successes_in_different_hours():
    def first(number):
        return mail(NEW, rcpt=f"u{number}@example.com")

    def again(number):
        return mail(rcpt=f"u{number}@example.com")

    hours = "".join(f"{first(number)}T: 1h\n{again(number)}" for number in range(3))
    trusted = mail(rcpt="x@example.com")
    played = play(OPEN + hours + trusted, [Greylist(trust_after=3)])
    assert outcomes(played)["trusted"] == 1
    at_once = "".join(map(first, range(5))) + "T: 5m\n" + "".join(map(again, range(5)))
    play(OPEN + at_once + mail(NEW, rcpt="x@example.com"), [Greylist(trust_after=3)])


def test_trust_ends_when_it_is_not_used():
    passed = f"{mail(NEW)}T: 1h\n{mail()}"
    used = "".join(f"T: 20d\n{mail(rcpt=f'u{number}@example.com')}" for number in range(3))
    unused = f"T: 37d\n{mail(NEW, rcpt='x@example.com')}"
    play(OPEN + passed + used + unused, [Greylist(trust_after=1)])


def test_a_transaction_with_a_trap_does_not_earn_trust():
    hit = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<trap@example.com>
    C: RCPT TO:<user@example.com>
    C: RSET
    S: 250
    S: {}
    S: 250
    """
    transcript = hit.format(NEW) + "T: 1h\n" + hit.format(250) + mail(NEW, rcpt="x@example.com")
    greylist = Greylist(trust_after=1, exempt_recipients=["trap@example.com"])
    play(OPEN + transcript, [greylist], traps=["trap@example.com"])


def test_bulk_senders_are_one_sender():
    senders = [f"bounce-{number}-user=example.com@news.example" for number in (17, 18)]
    signed = [f"prvs={tag}=ann@news.example" for tag in ("1234abcdef", "5678fedcba")]
    for first, second in (senders, signed):
        passes(mail(NEW, sender=first), mail(sender=second), sender="address")
    passes(mail(NEW, sender="a@x.example"), mail(NEW, sender="b@x.example"), sender="address")


@pytest.mark.parametrize(("part", "reply"), [("domain", 250), ("none", 250), ("address", NEW)])
def test_the_part_of_the_recipient_is_an_option(part, reply):
    passes(mail(NEW), mail(reply, rcpt="other@example.com"), recipient=part)


def test_an_empty_store_can_learn_for_a_while():
    learning = mail() + "T: 59m\n" + mail(rcpt="b@example.com")
    later = "T: 1m\n" + mail(NEW, rcpt="c@example.com") + mail(rcpt="b@example.com")
    played = play(OPEN + learning + later, [Greylist(learn="1h")])
    assert outcomes(played) == {"learned": 2, "new": 1, "known": 1}


def test_huge_addresses_are_keys_too():
    results = Results()
    long = "x" * 64 + "@" + ".".join(["y" * 63] * 3) + ".example"
    play(OPEN + mail(NEW, sender=long) + "T: 5m\n" + mail(sender=long), [Greylist(), results])
    assert len(results.of("greylist")[0][1]["key"]) <= 400


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"delay": "2d"}, "expected a window longer than the delay"),
        ({"keep": 0}, "expected keep greater than 0"),
        ({"trust_after": 61}, "expected trust_after from 0 to 60"),
        ({"ipv4_prefix": 33}, "expected ipv4_prefix from 8 to 32"),
    ],
)
def test_wrong_options(options, expected):
    with pytest.raises(ValueError, match=expected):
        Greylist(**options)


# What a client gets while the store fails


@pytest.mark.parametrize("kind", ["down", "late"])
def test_mail_passes_while_the_store_does_not_answer(kind):
    store = TroubledStore(kind)
    played = play(OPEN + mail() + mail(), [Greylist()], store=store)
    assert outcomes(played) == {"temperror": 2}


def test_new_mail_passes_while_the_store_is_read_only():
    store = TroubledStore()
    transcript = f"{mail(NEW)}T: 5m\n{mail()}{troubled('read-only')}"
    new = mail(rcpt="new@example.com")
    played = play(OPEN + transcript + mail() + new, [Greylist(), Trouble(store)], store=store)
    assert outcomes(played) == {"new": 1, "passed": 1, "known": 1, "temperror": 1}


def test_after_an_outage_the_first_attempts_before_it_count():
    store = TroubledStore()
    outage = f"{troubled('down')}{mail() * 6}{troubled('no')}T: 5m\n"
    played = play(OPEN + mail(NEW) + outage + mail(), [Greylist(), Trouble(store)], store=store)
    assert outcomes(played) == {"new": 1, "temperror": 6, "passed": 1}


def test_a_store_that_was_emptied_defers_known_senders_again():
    passes(mail(NEW), mail())
    passes(mail(NEW))


def test_a_real_store_keeps_what_another_session_has_written(play_real):
    deferred = "450 4.7.1 Greylisted*"
    for reply, now in ((deferred, "00:00"), (deferred, "00:04"), (250, "00:05")):
        play_real(OPEN + mail(reply), [Greylist()], now=f"2024-01-01T{now}")


@pytest.mark.slow
def test_mail_passes_while_redis_accepts_and_never_answers(play_silent):
    played = play_silent(OPEN + mail() + mail(), [Greylist()])
    assert outcomes(played) == {"temperror": 2}


def test_of_two_nodes_that_see_a_first_attempt_the_earlier_time_stays():
    clock = VirtualClock()
    plugin = Greylist()
    plugin.clock, plugin.store = clock, memory_store(clock)
    asyncio.run(plugin._decide(make_transaction(), [make_recipient()]))
    tx, rcpt = make_transaction(), make_recipient()
    late = _Finding(_entry(tx, rcpt, plugin.options), "new", 300.0)  # it has read before
    asyncio.run(plugin._write([late], int(1000 * clock.time()) + 10_000))
    stored = asyncio.run(plugin.store.get(late.entry.key))
    assert stored == int(1000 * clock.time())


def test_a_value_of_another_program_is_no_first_attempt():
    store = MemoryStore()
    key = "192.0.2.0/24 client.example user@example.com"
    store.put("greylist", key, "text")
    play(OPEN + mail(NEW), [Greylist()], store=store)


# The rules without a store


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [(0, "early"), (299, "early"), (300, "early"), (301, "passed"), (86_400, "passed")],
)
def test_a_clock_that_differs_defers_for_at_most_twice_the_delay(ahead, outcome):
    now = 1_800_000_000_000
    found, wait = judge(now + ahead * 1000, None, now, 300)
    assert found == outcome
    assert wait <= 600


def test_only_the_first_success_of_an_hour_counts():
    now = 1_800_000_000_000
    once = with_success(None, now, 2)
    assert with_success(once, now + 60_000, 2) is None
    assert with_success(once, now + 3_600_000, 2) == -(now + 3_600_000)
    assert with_success(None, now, 0) is None


@given(st.integers(0, 2**41), st.integers(1, MOST_SUCCESSES))
def test_trust_comes_after_as_many_hours_as_needed(now, needed):
    trust = None
    for hour in range(needed):
        assert trust is None or trust >= 0
        trust = with_success(trust, now + 3_600_000 * (hour + 1), needed)
    assert trust == -(now + 3_600_000 * needed)


@pytest.mark.parametrize(
    ("local", "stable"),
    [
        ("Ann", "ann"),
        ("user1", "user1"),
        ("ann+tag", "ann"),
        ("+tag", "+tag"),
        ("bounces+17-abc", "bounces"),
        ("prvs=1234abcdef=ann", "ann"),
        ("btv1==0123456789==ann", "ann"),
        ("msprvs1=ABCDEF=ann", "ann"),
        ("SRS0=abcd=tt=example.org=ann", "example.org=ann"),
        ("srs0+abcd=tt=example.org=ann", "example.org=ann"),
        ("SRS1=abcd=fwd.example==xyz=tt=example.org=ann", "fwd.example==xyz=tt=example.org=ann"),
        ("bounce-123456-list", "bounce-#-list"),
        ("bounce-user=example.com", "bounce"),
        ("0100018f2a3b4c5d-abc", "#-abc"),
        ("-user=example.com", "-user=example.com"),
    ],
)
def test_local_parts_without_what_changes(local, stable):
    assert stable_local(local) == stable


@given(st.text(max_size=300))
@example("=" * 256)
@example("prvs=" * 51)
@example("srs0=a=" * 36)
@example("0" * 256)
def test_any_local_part_has_a_stable_form(local):
    stable = stable_local(local)
    assert len(stable) <= len(local.lower())
    assert stable or not local


# A simulation of several nodes with one store

NODES, SENDERS, RCPTS = 3, 2, 2
DELAY, WINDOW, KEEP = 300, 3600, 86_400
ATTEMPTS = st.lists(
    st.tuples(
        st.integers(0, NODES - 1),
        st.integers(0, SENDERS - 1),
        st.integers(0, RCPTS - 1),
        st.sampled_from([0, 1, 60, 150, 299, 300, 301, 3599, 3601, 40_000, 80_000, 90_000]),
    ),
    max_size=40,
)


class Model:
    """Greylisting by the book; `last` is when a key was last accepted."""

    def __init__(self):
        self.first = {}
        self.last = {}

    def defers(self, key, now):
        """Return whether an attempt is deferred, None if either is right."""
        last = self.last.get(key)
        if last is not None and now - last < KEEP * 7 / 8:
            return False
        if last is not None and now - last < KEEP:
            return None
        first = self.first.get(key)
        return first is None or now - first >= WINDOW or now - first < DELAY

    def note(self, key, now, *, deferred):
        if not deferred:
            self.last[key] = now
            self.first.pop(key, None)
        elif key not in self.first or now - self.first[key] >= WINDOW:
            self.first[key] = now
            self.last.pop(key, None)


@settings(max_examples=150, deadline=None)
@given(ATTEMPTS)
def test_several_nodes_agree_with_the_model(attempts):
    clock, model = VirtualClock(), Model()
    store = memory_store(clock)
    nodes = [Greylist(delay=DELAY, window=WINDOW, keep=KEEP, trust_after=0) for _ in range(NODES)]
    for node in nodes:
        node.clock, node.store = clock, store
    for node, sender, rcpt, later in attempts:
        clock.move_to(clock.time() + later)
        tx = make_transaction(f"a@s{sender}.example", make_session(f"192.0.2.{node + 1}"))
        recipient = make_recipient(f"r{rcpt}@example.com")
        deferred = asyncio.run(nodes[node].on_rcpt(tx, recipient)) is not None
        expected = model.defers((sender, rcpt), clock.time())
        assert expected in (deferred, None)
        model.note((sender, rcpt), clock.time(), deferred=deferred)


@pytest.mark.parametrize("later", [0, 300])
def test_nodes_that_see_an_attempt_at_the_same_time_answer_alike(later, open_real):
    async def attempts():
        stores = [open_real() for _ in range(NODES)]
        clock = VirtualClock()
        nodes = [Greylist() for _ in stores]
        for node, store in zip(nodes, stores, strict=True):
            node.clock, node.store = clock, store.scope("greylist")
        if later:
            await nodes[0].on_rcpt(make_transaction(), make_recipient())
            clock.move_to(clock.time() + later)
        calls = [node.on_rcpt(make_transaction(), make_recipient()) for node in nodes]
        found = await asyncio.gather(*calls)
        for store in stores:
            await store.close()
        return [one is not None for one in found]

    assert asyncio.run(attempts()) == [later == 0] * NODES
