"""Rules limit what a client, a user or a sender does."""

import asyncio

import pytest
from hypothesis import given
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
    make_recipient,
    make_transaction,
    message,
    troubled,
)

from gatepost.plugin.base import Installed
from gatepost.plugins._rates import Rate, parse_rate
from gatepost.plugins._subjects import in_words
from gatepost.plugins.greylist import Greylist
from gatepost.plugins.rate_limit import RateLimit
from gatepost.store.errors import KeyTypeError
from gatepost.testing import MemoryStore, VirtualClock, memory_store, play

LATER = "450 4.7.1 Too many recipients, try again in 30 minutes*"
BAD = """
    C: MAIL FROM:<a@client.example>
    S: {}
    C: RCPT TO:<a@elsewhere.example>
    S: 5*
    C: RSET
    S: 250
"""


def limit(rate="2/1h", by=("sender",), **more):
    """Return a plugin with one rule."""
    return RateLimit(rules=[{"name": "one", "rate": rate, "by": list(by), **more}])


def test_recipients_over_the_limit_are_deferred_until_there_is_a_token():
    others = mail(sender="b@client.example")
    played = play(
        f"{OPEN}{mail() * 2}{mail(LATER) * 2}{others}T: 30m\n{mail()}{mail(LATER)}", [limit()]
    )
    assert [one.reason for one in played.decisions] == ["rate-limit"] * 3
    assert played.metrics.value("gatepost_plugin_rate_limit_exceeded", rule="one") == 3


def test_the_burst_may_be_smaller_than_the_number():
    later = "450 4.7.1 Too many recipients, try again in 30 seconds*"
    play(f"{OPEN}{mail()}{mail(later)}T: 30s\n{mail()}", [limit("120/1h", burst=1)])


@pytest.mark.parametrize(
    ("reaction", "reply"),
    [("deny", "550 5.7.1 Too many recipients*"), ("defer", LATER), ("none", 250), (3, 250)],
)
def test_reactions(reaction, reply):
    results = Results()
    play(OPEN + mail() * 2 + mail(reply), [limit(reaction=reaction), results])
    score = float(reaction) if reaction == 3 else 0.0
    facts = {"rule": "one", "wait": 1800, "score": score}
    assert results.of("rate_limit") == [("exceeded", facts)]


def test_a_rule_gives_points_once_for_a_message():
    results = Results()
    rcpts = "C: RCPT TO:<user@example.com>\nS: 250\n" * 5
    transcript = f"{OPEN}C: MAIL FROM:<a@client.example>\nS: 250\n{rcpts}C: RSET\nS: 250\n"
    played = play(transcript, [limit(reaction=3), results])
    assert results.seen[-1].score == 3
    assert played.metrics.value("gatepost_plugin_rate_limit_exceeded", rule="one") == 3


def test_in_shadow_mode_nothing_is_deferred():
    play(OPEN + mail() * 4, [Installed(limit(), shadow=True)])


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        (["address"], {}, {"peer": ("192.0.2.2", 1)}),
        (["network"], {"peer": ("192.0.2.2", 1)}, {"peer": ("198.51.100.2", 1)}),
        (["sender"], {"sender": "A@Client.example"}, {"sender": "b@client.example"}),
        (["sender_domain"], {"sender": "b@client.example"}, {"sender": "a@x.example"}),
        (["recipient"], {"rcpt": "user+a@example.com"}, {"rcpt": "b@example.com"}),
        (["recipient_domain"], {"rcpt": "b@example.com"}, {"rcpt": "a@other.example"}),
        (["sender", "recipient"], {}, {"rcpt": "b@example.com"}),
        ([], {"sender": "b@client.example"}, None),
    ],
)
def test_what_a_rule_counts_by(by, same, other):
    store, config = MemoryStore(), {"recipients": {"domains": ["example.com", "other.example"]}}

    def attempt(reply, peer=("192.0.2.1", 1), **names):
        plugins = [limit("1/1h", by)]
        play(OPEN + mail(reply, **names), plugins, peer=peer, store=store, config=config)

    attempt(250)
    attempt(450, **same)
    if other:
        attempt(250, **other)


def test_a_rule_by_asn_needs_the_result_of_geo():
    geo = Add(connect=(("geo", "found", {"asn": 64500}),))
    play(OPEN + mail() + mail(450), [geo, limit("1/1h", ["asn"])])
    play(OPEN + mail() * 3, [limit("1/1h", ["asn"])])


def test_users_are_limited_in_any_spelling_and_without_exemptions():
    plugin = RateLimit(
        rules=[
            {"name": "users", "rate": "2/1h", "by": ["user"]},
            {"name": "clients", "rate": "1/1h", "by": ["network"]},
        ]
    )
    store = MemoryStore()
    transcript = LOGIN + mail() * 2 + mail(LATER)
    play(transcript, [Login(), plugin], config=WITH_AUTH, store=store, peer=("127.0.0.1", 1))
    lower = LOGIN.replace("AEFsaWNl", "AGFsaWNl") + mail(LATER)  # alice in place of Alice
    play(lower, [Login(), plugin], config=WITH_AUTH, store=store)
    play(OPEN + mail() * 3, [plugin], store=store, peer=("127.0.0.1", 1))
    play(OPEN + mail() + mail(450), [plugin], store=store)


def test_the_null_sender_has_no_limit_of_its_own():
    play(OPEN + mail(sender="") * 3, [limit("1/1h", ["sender"])])
    by = ["sender", "recipient"]
    play(OPEN + mail(sender="") + mail(450, sender=""), [limit("1/1h", by)])


def test_recipients_that_others_refuse_do_not_count():
    deferred = mail("450 4.7.1 Greylisted*") * 3
    unknown = mail("550 5.7.1 Relaying denied*", rcpt="a@elsewhere.example")
    play(f"{OPEN}{deferred}{unknown}T: 5m\n{mail()}{mail(450)}", [limit("1/1h"), Greylist()])


def test_messages_are_counted_before_their_content():
    deferred = "451 4.7.1 Too many messages, try again in 1 hour*".replace("1 hour", "60 minutes")
    second = f"""
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: {deferred}
    """
    play(OPEN + mail() + message() + second, [limit("1/1h", ["network"], count="messages")])


def test_octets_are_counted_at_the_end():
    plugin = limit("100/1h", ["network"], count="octets", burst=100)
    refused = message(end="451 4.7.1 Too much data, try again in *")
    play(OPEN + message() * 4 + refused, [plugin])


def test_a_message_larger_than_the_bucket_takes_all_of_it():
    plugin = limit("10/1h", ["network"], count="octets")
    refused = message(end="451 4.7.1 Too much data, try again in 60 minutes*")
    play(f"{OPEN}{message()}{refused}T: 1h\n{message()}", [plugin])


def test_connections_are_counted():
    plugins, store = [limit("1/1h", ["address"], count="connections")], MemoryStore()
    play(OPEN, plugins, store=store)
    refused = "S: 421 4.7.1 Too many connections, try again in 60 minutes*"
    play(refused, plugins, store=store)
    plugins = [limit("1/1h", ["address"], count="connections", reaction="deny")]
    play("S: 554 5.7.1 Too many connections*", plugins, store=store)


def test_unknown_recipients_end_the_mail_of_a_client():
    plugin = limit("2/1h", ["network"], count="bad_recipients")
    store, bad = MemoryStore(), BAD.format(250)
    play(OPEN + bad + mail() + bad, [plugin], store=store)
    refused = "421 4.7.1 Too many unknown recipients, try again in 30 minutes*"
    other = f"{OPEN}C: MAIL FROM:<b@other.example>\nS: {refused}"
    play(other, [plugin], store=store, peer=("192.0.2.9", 1))
    play(OPEN + bad, [plugin], store=store, peer=("198.51.100.1", 1))
    play(OPEN + bad, [plugin], store=store, now="2024-01-01T00:30")


def test_the_recipients_of_a_domain_have_rules_of_their_own():
    rule = {"name": "strict", "rate": "1/1h", "by": ["sender"]}
    plugin = RateLimit(
        rules=[{**rule, "name": "usual", "rate": "3/1h"}],
        options_for={"other.example": {"rules": [rule]}},
    )
    config = {"recipients": {"domains": ["example.com", "other.example"]}}
    other = mail(rcpt="a@other.example")
    refused = mail(450, rcpt="a@other.example")
    play(OPEN + other + refused + mail() * 3 + mail(450), [plugin], config=config)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], "rules: expected at least one rule"),
        ([{"rate": "1/1h"}], "name"),
        ([{"name": " ", "rate": "1/1h"}], "expected a name of 1 to 60 characters"),
        ([{"name": "a", "rate": "1/1h"}] * 2, "expected a different name for each rule"),
        ([{"name": "a", "rate": "1 per hour"}], 'expected a rate such as "100/1h"'),
        ([{"name": "a", "rate": "1MB/1h"}], 'expected a rate such as "100/1h"'),
        ([{"name": "a", "rate": "x/1d", "count": "octets"}], 'a rate such as "50MiB/1d"'),
        ([{"name": "a", "rate": "1/1h", "by": ["users"]}], r"rules\[0\].by\[0\]"),
        (
            [{"name": "a", "rate": "1/1h", "by": ["user"], "count": "connections"}],
            'by: "user" is not known when connections are counted',
        ),
        (
            [{"name": "a", "rate": "1/1h", "by": ["recipient"], "count": "octets"}],
            'by: "recipient" is not known when octets are counted',
        ),
        ([{"name": "a", "rate": "1/1h", "reaction": "block"}], r"rules\[0\].reaction: expected"),
        ([{"name": "a", "rate": "1/1h", "bursts": 3}], "bursts"),
    ],
)
def test_wrong_rules(rules, expected):
    with pytest.raises(ValueError, match=expected):
        RateLimit(rules=rules)


# Several sessions and nodes


def test_parallel_sessions_cannot_exceed_a_limit(open_real):
    async def attempts():
        stores = [open_real() for _ in range(3)]
        nodes = [limit("10/1d") for _ in stores]
        for node, store in zip(nodes, stores, strict=True):
            node.store = store.scope("rate_limit")
        calls = [node.on_rcpt(make_transaction(), make_recipient()) for node in nodes * 10]
        found = await asyncio.gather(*calls)
        for store in stores:
            await store.close()
        return sum(one is None for one in found)

    assert asyncio.run(attempts()) == 10


def test_looking_takes_next_to_nothing():
    plugin, clock = limit("2/1h", ["network"], count="bad_recipients"), VirtualClock()
    plugin.store = memory_store(clock)

    async def look():
        return await plugin.on_mail(make_transaction(), None)

    async def count():
        due = plugin._due("bad_recipients", plugin.options, make_transaction().session)
        await plugin._count(due)

    for _ in range(100):
        assert asyncio.run(look()) is None
    asyncio.run(count())
    clock.move_to(clock.time() + 0.01)
    assert asyncio.run(look()) is None
    asyncio.run(count())
    assert asyncio.run(look()) is not None


# What a client gets while the store fails


@pytest.mark.parametrize("kind", ["down", "read-only", "late"])
def test_a_worker_counts_alone_while_the_store_fails(kind):
    play(OPEN + mail() * 2 + mail(LATER), [limit()], store=TroubledStore(kind))


def test_after_an_outage_the_counts_of_the_store_apply():
    store = TroubledStore()
    outage = f"{troubled('down')}{mail() * 2}{mail(450) * 4}{troubled('no')}T: 2s\n"
    play(OPEN + mail() + outage + mail() + mail(450), [limit(), Trouble(store)], store=store)


@pytest.mark.slow
def test_a_worker_counts_alone_while_redis_never_answers(play_silent):
    play_silent(OPEN + mail() * 2 + mail(LATER), [limit()])


def test_a_store_that_was_emptied_begins_to_count_again():
    play(OPEN + mail() * 2 + mail(450), [limit()])
    play(OPEN + mail() * 2, [limit()])


def test_a_key_of_another_type_is_no_limit(monkeypatch):
    plugin = limit()

    def take(*_args):
        raise KeyTypeError("a text")

    monkeypatch.setattr("gatepost.store.operations.Take.apply", take)
    played = play(OPEN + mail() * 3, [plugin])
    assert played.metrics.value("gatepost_plugin_rate_limit_failed") == 3


# Rates and times


@pytest.mark.parametrize(
    ("text", "rate"),
    [("100/1h", Rate(100, 3600)), ("1/1s", Rate(1, 1)), ("5/1.5h", Rate(5, 5400))],
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


def test_a_rate_of_octets_has_sizes():
    assert parse_rate("50MiB/1d", octets=True) == Rate(50 * 2**20, 86_400)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "100", "100/", "/1h", "0/1h", "-1/1h", "1.5/1h", "100/h", "100/0s"),
        *("100/999d", "100/1h/1h", " 100/1h", "\u0661/1h", "9" * 5000 + "/1h", "1/" + "9" * 5000),
    ],
)
def test_what_is_no_rate(text):
    with pytest.raises(ValueError, match='expected a rate such as "100/1h"'):
        parse_rate(text)


@given(st.text(alphabet="0123456789/.smhdKMiB \u0661", max_size=12) | st.text(), st.booleans())
def test_any_text_is_a_rate_or_a_clear_error(text, octets):
    try:
        rate = parse_rate(text, octets=octets)
    except ValueError:
        with pytest.raises(ValueError, match=r"^expected a rate such as"):
            parse_rate(text, octets=octets)
    else:
        assert rate.most >= 1
        assert 1e-9 <= rate.per_second <= 1e12


@given(st.integers(1, 10**6), st.integers(1, 366 * 86_400))
def test_a_rate_is_what_is_written(most, seconds):
    assert parse_rate(f"{most}/{seconds}s") == Rate(most, seconds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "in 1 second"),
        (0.2, "in 1 second"),
        (59.5, "in 60 seconds"),
        (119, "in 119 seconds"),
        (120, "in 2 minutes"),
        (300.000001, "in 5 minutes"),
        (301, "in 6 minutes"),
        (7199, "in 120 minutes"),
        (7200, "in 2 hours"),
        (86_400, "in 24 hours"),
    ],
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words
