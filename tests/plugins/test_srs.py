"""SRS: senders of forwarded mail, and bounces to them; compared with PostSRSd."""

import contextlib
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.scanners import installed
from tools import postsrsd

from gatepost import Address, AddressError, Plugin
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugins._srs import DAY, LONGEST, Rewriter, SrsError
from gatepost.plugins.srs import Srs
from gatepost.testing import play

DOMAIN, SECRET = "srs.example.com", "tHe secret"
DAY_ONE = "2024-01-01"
NOW = datetime.fromisoformat(DAY_ONE).replace(tzinfo=UTC).timestamp()
ALICE = Address.parse("Alice@Example.ORG")
REWRITER = Rewriter(DOMAIN, [SECRET], 21)
SENDERS = (
    "alice@example.org",
    "Some.One+tag=x@Client.Example",
    "a=b=c@client.example",
    "SRS0=aBcD=EF=first.example=bob@second.example",
    "srs0+aBcD=EF=first.example=bob@second.example",
    "SRS1=aBcD=first.example==aBcD=EF=zero.example=bob@second.example",
)


def other_forwarder(address):
    """Return the address that another forwarder makes of a sender."""
    return Rewriter("other.example", ["theirs"], 21).forward(Address.parse(address), NOW)


# The form


@pytest.mark.parametrize("days", [0, 1, 21])
def test_a_bounce_comes_back_within_the_time(days):
    assert REWRITER.back(REWRITER.forward(ALICE, NOW), NOW + days * DAY) == ALICE


@pytest.mark.parametrize("days", [22, 500, 1022, 1024 + 22])
def test_an_address_expires(days):
    with pytest.raises(SrsError) as raised:
        REWRITER.back(REWRITER.forward(ALICE, NOW), NOW + days * DAY)
    assert raised.value.reason == "expired"


def test_an_address_of_a_clock_that_is_ahead_is_valid():
    assert REWRITER.back(REWRITER.forward(ALICE, NOW + DAY), NOW) == ALICE


def test_mail_servers_may_change_the_case():
    made = REWRITER.forward(ALICE, NOW)
    for local in (made.local.lower(), made.local.upper()):
        assert REWRITER.back(Address(local, DOMAIN), NOW).key == ALICE.key


def test_the_second_forwarder_leads_back_by_way_of_the_first():
    first = other_forwarder("alice@example.org")
    second = REWRITER.forward(first, NOW)
    assert second.local.startswith("SRS1=")
    assert REWRITER.back(second, NOW) == first
    third = Rewriter("third.example", ["x"], 21).forward(second, NOW)
    assert third.local.count("srs.example.com") == 0  # the first forwarder, not the second
    assert str(Rewriter("third.example", ["x"], 21).back(third, NOW)) == str(first)


def test_a_sender_that_only_looks_rewritten_is_a_usual_sender():
    sender = Address("SRS1=x", "example.org")
    made = REWRITER.forward(sender, NOW)
    assert made.local.endswith("=example.org=SRS1=x")
    assert REWRITER.back(made, NOW) == sender


def test_secrets_can_be_changed():
    old, new = Rewriter(DOMAIN, ["old"], 21), Rewriter(DOMAIN, ["new", "old"], 21)
    assert new.back(old.forward(ALICE, NOW), NOW) == ALICE
    with pytest.raises(SrsError, match="hash"):
        old.back(new.forward(ALICE, NOW), NOW)


@pytest.mark.parametrize(
    ("local", "reason"),
    [
        ("SRS0=x", "form"),
        ("SRS0=", "form"),
        ("SRS1=aaaa=host=no-separator", "form"),
        ("SRS0=aaaa=!!=example.org=alice", "form"),
        ("SRS0=aaaa=AB=example.org=alice", "hash"),
        ("SRS0=a=AB=example.org=alice", "hash"),
        ("SRS1=aaaa=host.example==aaaa=AB=example.org=alice", "hash"),
        ("SRS0=aaaa=AB=example.org=\udcff", "hash"),
    ],
)
def test_an_address_that_was_not_made_here_is_refused(local, reason):
    with pytest.raises(SrsError) as raised:
        REWRITER.back(Address(local, DOMAIN), NOW)
    assert raised.value.reason == reason


def test_a_longer_hash_is_compared_as_a_whole():
    """PostSRSd can be configured to use more characters."""
    made = REWRITER.forward(ALICE, NOW).local
    with pytest.raises(SrsError, match="hash"):
        REWRITER.back(Address(made.replace("SRS0=", "SRS0=x", 1), DOMAIN), NOW)


def test_a_signed_text_that_is_no_address_is_refused():
    """Another server with the same secret could have signed it."""
    made = REWRITER.forward(Address("a", "no domain"), NOW)
    with pytest.raises(SrsError, match="not an address"):
        REWRITER.back(made, NOW)


def test_a_sender_that_is_too_long_is_not_rewritten():
    with pytest.raises(SrsError) as raised:
        REWRITER.forward(Address("a" * LONGEST, "example.org"), NOW)
    assert raised.value.reason == "length"


LOCALS = st.text(min_size=1, max_size=60)
HOSTS = st.sampled_from(["example.org", "xn--mller-kva.example", "müller.example", "[192.0.2.1]"])


@given(LOCALS, HOSTS, st.floats(0, 4e9))
def test_every_sender_comes_back(local, host, now):
    try:
        sender = Address.parse(str(Address(local, host)))
    except AddressError:
        return
    assert REWRITER.back(REWRITER.forward(sender, now), now) == sender


@given(st.one_of(LOCALS, LOCALS.map("SRS0=".__add__), LOCALS.map("SRS1=".__add__)))
def test_any_local_part_is_read(local):
    with contextlib.suppress(SrsError):
        assert REWRITER.back(Address(local, DOMAIN), NOW) is None


@pytest.mark.skipif(bool(postsrsd.why_not()), reason=postsrsd.why_not() or "runs")
@pytest.mark.parametrize("sender", SENDERS)
def test_postsrsd_makes_the_same_addresses(tmp_path, sender):
    with postsrsd.running(tmp_path, domain=DOMAIN, secret=SECRET) as peer:
        ours = str(REWRITER.forward(Address.parse(sender), time.time()))
        theirs = peer.forward(sender)
        assert theirs.lower() == ours.lower()
        back = str(REWRITER.back(Address.parse(theirs), time.time())).lower()
        assert peer.reverse(ours).lower() == back
        assert back == sender.lower() or sender.startswith("SRS1")


# The plugin

RELAY = {
    "recipients": {"domains": ["example.com"]},
    "route": [{"for": ["*"], "to": "discard:"}],
}


class Forward(Plugin):
    """Forwards `team` to another provider, and leaves a copy here."""

    def on_rcpt(self, tx, rcpt):
        if rcpt.user == "team":
            tx.replace_recipient(rcpt, ["ann@elsewhere.example", "bob@example.com"])


def srs(**options):
    return Srs(domain=DOMAIN, secrets=[SECRET], **options)


def sent(*plugins, sender="alice@example.org", to="team@example.com", reply="250", **options):
    commands = f"""
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<{sender}>
        S: 250
        C: RCPT TO:<{to}>
        S: {reply}
    """
    content = "C: DATA\nS: 354\nC: Subject: x\nC:\nC: text\nC: .\nS: 250\n"
    return play(
        commands + (content if reply == "250" else ""),
        plugins,
        config=RELAY,
        now=DAY_ONE,
        **options,
    )


def senders(played):
    [message] = played.messages
    return message.senders


def test_only_recipients_of_other_domains_get_the_rewritten_sender():
    played = sent(srs(), Forward())
    made = str(REWRITER.forward(Address.parse("alice@example.org"), NOW))
    assert senders(played) == {"ann@elsewhere.example": made}
    assert played.metrics.value("gatepost_plugin_srs_forwarded") == 1


@pytest.mark.parametrize(
    ("sender", "options"),
    [
        ("", {}),
        ("carol@example.com", {}),
        (str(REWRITER.forward(ALICE, NOW)), {}),
        ("alice@example.org", {"exempt_senders": ["@example.org"]}),
        ("alice@example.org", {"exempt_recipients": ["@elsewhere.example"]}),
        (f"{'a' * 250}@example.org", {}),
    ],
)
def test_these_senders_stay(sender, options):
    assert senders(sent(Forward(), srs(**options), sender=sender)) == {}


def test_in_shadow_mode_the_sender_stays():
    assert senders(sent(Forward(), installed(srs(), shadow=True))) == {}


def test_a_held_message_has_the_rewritten_sender():
    class Hold(Plugin):
        def on_message(self, tx):
            tx.quarantine("looks bad")

    assert list(senders(sent(Forward(), Hold(), srs()))) == ["ann@elsewhere.example"]


def test_a_bounce_goes_to_the_original_sender():
    bounced = str(REWRITER.forward(ALICE, NOW))
    played = sent(srs(), sender="", to=bounced)
    [message] = played.messages
    assert message.recipients == [str(ALICE)]
    assert played.metrics.value("gatepost_plugin_srs_returned") == 1


def test_mail_to_a_rewritten_sender_is_forwarded_mail_too():
    played = sent(srs(), sender="bob@elsewhere.example", to=str(REWRITER.forward(ALICE, NOW)))
    assert list(senders(played)) == [str(ALICE)]


@pytest.mark.parametrize(
    ("domains", "reply"),
    [
        (["example.com"], "550 5.1.1 the hash of the SRS address is wrong*"),
        (["example.com", DOMAIN], "550 5.1.1 the hash of the SRS address is wrong*"),
    ],
)
def test_a_forged_address_is_refused(monkeypatch, domains, reply):
    monkeypatch.setitem(RELAY, "recipients", {"domains": domains})
    sent(srs(), sender="", to=f"SRS0=aaaa=AB=victim.example=bob@{DOMAIN}", reply=reply)


def test_an_expired_address_is_refused_and_counted():
    old = str(REWRITER.forward(ALICE, NOW - 30 * DAY))
    reply = "550 5.1.1 the SRS address has expired*"
    sent(srs(), sender="", to=old, reply=reply)


def test_an_address_that_is_known_must_be_signed_too(monkeypatch):
    """The configuration can list any address; no plugin is asked then whether it exists."""
    forged = f"SRS0=aaaa=AB=victim.example=bob@{DOMAIN}"
    monkeypatch.setitem(RELAY, "recipients", {"domains": [DOMAIN], "known": [forged]})
    played = sent(srs(), sender="", to=forged, reply="550 5.1.1 the hash of the SRS address*")
    assert played.metrics.value("gatepost_plugin_srs_refused", reason="hash") == 1


def test_other_addresses_of_the_domain_are_left_to_the_usual_rules():
    sent(srs(), to=f"postmaster@{DOMAIN}", reply="550 5.7.1 Relaying denied*")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"secrets": []}, "secrets: expected at least one"),
        ({"secrets": [""]}, "secrets: expected at least one"),
        ({"domain": "no domain"}, "expected local-part@domain"),
        ({"max_age": "1h"}, "max_age: expected 1d"),
    ],
)
def test_wrong_options_are_errors(options, problem):
    with pytest.raises(OptionsError, match=problem):
        Srs(**{"domain": DOMAIN, "secrets": [SECRET]} | options)
