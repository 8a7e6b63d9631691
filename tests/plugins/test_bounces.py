"""False bounces: their recipients, and the tags that true ones have."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.mails import (
    DOMAINS,
    LOGIN_CONFIG,
    RELAY_CONFIG,
    RELAY_PEER,
    Login,
    Seen,
    transcript,
)
from tools import exim

from gatepost import Address, Plugin
from gatepost.plugin.contract import implements
from gatepost.plugins._batv import DAY, add_tag, is_valid, read_tag
from gatepost.plugins.bounces import Bounces
from gatepost.testing import play

KEYS = {"0": "a secret key", "7": "an older key"}
TODAY = 1704067200 // DAY  # the clock of gatepost.testing.play
TAGS = {"keys": KEYS, "domains": "example.com"}
LINES = ["Subject: x", "", "text"]
USER = Address.parse("user@example.com")


def tagged(address="user@example.com", days=7, number="0", key=KEYS["0"]):
    return str(add_tag(Address.parse(address), number, key, TODAY + days))


def at_rcpt(address, reply, *, sender="", config=DOMAINS, lines=LINES, **options):
    """Play a transaction with one recipient and check the reply; return what was found."""
    seen = Seen("bounces")
    if reply.startswith("250"):
        script = transcript(lines, sender=sender, to=[address])
    else:
        script = (
            "S: 220\nC: EHLO client.example\nS: 250\n"
            f"C: MAIL FROM:<{sender}>\nS: 250\nC: RCPT TO:<{address}>\nS: {reply}"
        )
    played = play(script, [Bounces(**options), seen], config=config)
    return seen.result, played


def test_a_bounce_for_one_recipient_passes():
    result, _ = at_rcpt("user@example.com", "250")
    assert (result.value, result.score) == ("pass", 0)


@pytest.mark.parametrize(("word", "reply"), [("deny", "554 5.7.1"), ("defer", "451 4.7.1")])
def test_a_bounce_for_two_recipients_is_refused(word, reply):
    script = (
        "S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<>\nC: RCPT TO:<a@example.com>\n"
        "C: RCPT TO:<b@example.com>\nC: DATA\nS: 250\nS: 250\nS: 250\n"
        f"S: {reply} A bounce has one recipient*"
    )
    played = play(script, [Bounces(several=word)])
    assert [(one.hook, one.reason) for one in played.decisions] == [("data", "several")]
    assert played.metrics.value("gatepost_plugin_bounces_found", finding="several") == 1


def test_mail_with_a_sender_can_have_several_recipients():
    seen = Seen("bounces")
    script = transcript(LINES, to=["a@example.com", "b@example.com"])
    play(script, [Bounces(never_send="a@example.com"), seen], config=DOMAINS)
    assert seen.result is None


def test_points_of_several_findings_are_added_up():
    seen = Seen("bounces")
    script = transcript(LINES, sender="", to=["a@example.com", "b@example.com"])
    options = {"never_send": ["a@example.com", "b@example.com"], "not_a_sender": 2, "several": 3}
    play(script, [Bounces(**options), seen], config=DOMAINS)
    assert (seen.result.facts["findings"], seen.result.score) == ("not_a_sender several", 5)


def test_an_address_that_sends_no_mail_gets_no_bounce():
    reply = "550 5.7.1 This address sends no mail*"
    at_rcpt("info@example.com", reply, never_send="info@example.com")
    at_rcpt("user@example.com", "250", never_send="info@example.com")
    at_rcpt("info@example.com", "250", sender="a@client.example", never_send="info@example.com")


KNOWN = {"recipients": {"domains": ["example.com"], "known": ["user@example.com"]}}


@pytest.mark.parametrize("sender", ["", "a@client.example"])
@pytest.mark.parametrize("config", [DOMAINS, KNOWN], ids=["all", "known"])
@pytest.mark.parametrize("change", [str, str.upper], ids=["as made", "upper case"])
def test_a_valid_tag_is_removed(sender, config, change):
    address = change(tagged())
    _, played = at_rcpt(address, "250", sender=sender, config=config, **TAGS)
    (message,) = played.messages
    assert [one.lower() for one in message.recipients] == ["user@example.com"]
    assert played.metrics.value("gatepost_plugin_bounces_valid_tags") == 1


def test_an_older_key_is_still_valid():
    _, played = at_rcpt(tagged(number="7", key=KEYS["7"]), "250", **TAGS)
    assert played.messages[0].recipients == ["user@example.com"]


def test_recipients_are_looked_up_only_with_keys():
    assert implements(Bounces(**TAGS), "on_lookup")
    assert not implements(Bounces(), "on_lookup")


WRONG = {
    "old": tagged(days=-1),
    "from the future": tagged(days=8),
    "another key": tagged(key="another key"),
    "unknown key": tagged(number="3"),
    "another address": tagged().replace("=user", "=other"),
    "another digest": "prvs=0724000000=user@example.com",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bounce_with_a_wrong_tag_is_refused(name):
    at_rcpt(WRONG[name], "550 5.7.1 The tag in the address of this bounce is wrong*", **TAGS)
    at_rcpt(WRONG[name], "550 5.1.1 No such mailbox*", config=KNOWN, **TAGS)
    result, _ = at_rcpt(WRONG[name], "250", bad_tag=1, **TAGS)
    assert result.value == "bad_tag"


def test_a_bounce_without_a_tag_is_refused():
    at_rcpt("user@example.com", "550 5.7.1 No message of this address*", **TAGS)
    at_rcpt("user@example.com", "250", sender="a@client.example", **TAGS)
    at_rcpt("user@example.com", "250", exempt="user@example.com", **TAGS)
    at_rcpt("postmaster@example.com", "250", **TAGS)


def test_a_domain_without_tags_gets_every_bounce():
    both = {"recipients": {"domains": ["example.com", "example.org"]}}
    at_rcpt("user@example.org", "250", config=both, **TAGS)
    _, played = at_rcpt(tagged("user@example.org"), "250", config=both, **TAGS)
    assert played.messages[0].recipients == [tagged("user@example.org")]


def test_an_address_that_sends_no_mail_gets_no_bounce_with_a_tag():
    reply = "550 5.7.1 This address sends no mail*"
    at_rcpt(tagged(), reply, never_send="user@example.com", **TAGS)


ANSWERS = {
    "dsn": ["Content-Type: Multipart/Report; report-type=delivery-status; boundary=a"],
    "reply": ["Auto-Submitted: auto-replied (vacation)"],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_needs_the_null_sender(name):
    lines = [*ANSWERS[name], *LINES]
    result, _ = at_rcpt("a@example.com", "250", sender="a@client.example", lines=lines, answer=2)
    assert (result.value, result.score) == ("answer", 2)
    result, _ = at_rcpt("a@example.com", "250", lines=lines, answer=2)
    assert result.value == "pass"


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: auto-generated",
        "Content-Type: multipart/report; report-type=disposition-notification",
    ],
)
def test_other_mail_with_a_sender_is_no_answer(field):
    lines = [field, *LINES]
    result, _ = at_rcpt("a@example.com", "250", sender="a@client.example", lines=lines, answer=2)
    assert result is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"keys": {"x": "12345678"}, "domains": "a.example"}, "expected one digit"),
        ({"keys": {"0": "1234567"}, "domains": "a.example"}, "at least 8 characters"),
        ({"keys": {"0": "12345678"}}, "domains: expected"),
        ({"keys": KEYS, "domains": "a.example", "sign": "1"}, "sign: expected"),
        ({"lifetime": 0}, "lifetime: expected 1 to 100 days"),
    ],
)
def test_options_are_checked(options, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        Bounces(**options)
    assert "1234567" not in str(caught.value)


@pytest.mark.parametrize("login", [True, False], ids=["authenticated", "relay"])
def test_clients_of_yours_can_send_bounces(login):
    seen, config = Seen("bounces"), LOGIN_CONFIG if login else RELAY_CONFIG
    script = transcript(LINES, sender="", to=["a@example.com", "b@example.com"], login=login)
    play(script, [Login(), Bounces(**TAGS), seen], config=config, peer=RELAY_PEER)
    assert seen.result is None


# outgoing mail


def signed(sender, *plugins, config=LOGIN_CONFIG, login=True, peer=None, **options):
    """Send a message; return the senders of the delivery by recipient, and what was played."""
    script = transcript(LINES, sender=sender, to=["b@example.com"], login=login)
    chain = [Login(), *plugins, Bounces(sign="0", **TAGS, **options)]
    played = play(script, chain, config=config, **({"peer": peer} if peer else {}))
    (message,) = played.messages
    return message.senders, played


def test_mail_of_users_gets_a_tag():
    senders, played = signed("user@example.com")
    assert senders == {"b@example.com": tagged()}
    assert played.metrics.value("gatepost_plugin_bounces_signed") == 1
    at_rcpt(senders["b@example.com"], "250", **TAGS)


def test_mail_of_clients_that_may_relay_gets_a_tag():
    more = {"config": RELAY_CONFIG, "peer": RELAY_PEER, "login": False}
    assert signed("user@example.com", **more)[0] == {"b@example.com": tagged()}


class Changed(Plugin):
    """Stands for `masquerade`."""

    def __init__(self):
        super().__init__()
        self.name = "masquerade"

    def on_message(self, tx):
        tx.change_sender("user@example.com")


def test_the_tag_belongs_to_the_changed_sender():
    assert signed("user@host.example.com", Changed())[0] == {"b@example.com": tagged()}


@pytest.mark.parametrize(
    "sender",
    ["", "a@client.example", tagged(), "exempt@example.com", "a" * 60 + "@example.com"],
)
def test_other_senders_get_no_tag(sender):
    assert signed(sender, exempt="exempt@example.com")[0] == {}


def test_mail_of_strangers_gets_no_tag():
    assert signed("user@example.com", config=DOMAINS, login=False)[0] == {}


def test_without_a_key_to_sign_with_no_mail_gets_a_tag():
    script = transcript(LINES, sender="user@example.com", login=True)
    played = play(script, [Login(), Bounces(**TAGS)], config=LOGIN_CONFIG)
    assert played.messages[0].senders == {}


# the format


LOCAL = st.from_regex(r"[A-Za-z0-9.+_-]{1,40}", fullmatch=True)


@given(LOCAL, st.integers(0, 99_999), st.integers(0, 7))
def test_a_tag_is_valid_until_its_last_day(name, today, days):
    address = Address(name, "example.com")
    made = add_tag(address, "0", KEYS["0"], today + days)
    tag = read_tag(made.local)
    assert tag.local == name
    assert is_valid(tag, "example.com", KEYS, today, 7)
    assert not is_valid(tag, "example.com", KEYS, today + days + 1, 7)
    assert not is_valid(tag, "other.example", KEYS, today, 7)


@given(st.text(max_size=60) | st.from_regex(r"prvs=\d{4}[0-9a-f]{6}=.{0,20}", fullmatch=True))
def test_any_local_part_can_be_read(local):
    tag = read_tag(local)
    if tag is not None:
        assert not is_valid(tag, "example.com", {}, 0, 999)


def test_a_local_part_that_would_be_too_long_gets_no_tag():
    assert add_tag(Address("a" * 48, "example.com"), "0", "key", 1) is not None
    assert add_tag(Address("a" * 49, "example.com"), "0", "key", 1) is None


@pytest.mark.skipif(bool(exim.why_not()), reason=exim.why_not())
def test_tags_are_those_of_exim():
    theirs = exim.expand(f"${{prvs{{{USER}}}{{{KEYS['0']}}}{{0}}}}")
    today = int(time.time() // DAY)
    tag = read_tag(Address.parse(theirs).local)
    assert any(is_valid(tag, "example.com", KEYS, day, 7) for day in (today - 1, today))
    ours = add_tag(USER, "0", KEYS["0"], today + 7)
    check = f"${{prvscheck{{{ours}}}{{{KEYS['0']}}}{{$prvscheck_address $prvscheck_result}}}}"
    assert exim.expand(check) == "user@example.com 1"
