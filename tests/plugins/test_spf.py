"""SPF at MAIL."""

import pytest

from gatepost import Plugin
from gatepost.plugins.spf import Spf
from gatepost.testing import FakeResolver, play

PERMITTED, OTHER = ("192.0.2.7", 50000), ("198.51.100.1", 50000)
DNS = FakeResolver(
    txt={
        "client.example": "v=spf1 ip4:192.0.2.0/24 -all",
        "soft.example": "v=spf1 ~all",
        "unsure.example": "v=spf1 ?all",
        "wrong.example": "v=spf1 ip4:nonsense",
        "mail.client.example": "v=spf1 ip4:192.0.2.0/24 -all",
        "told.example": "v=spf1 -all exp=why.told.example",
        "why.told.example": "%{i} may not send",
    },
    a={"bare.example": "192.0.2.1"},
    fail=["dead.example"],
)


class Seen(Plugin):
    """Keeps the result."""

    after = frozenset({"spf"})

    def on_mail(self, tx, sender):
        self.result = tx.results.get("spf")


def result(sender, peer=OTHER, **options):
    seen = Seen()
    text = f"S: 220\nC: EHLO mail.client.example\nS: 250\nC: MAIL FROM:<{sender}>\nS: 250"
    play(text, [Spf(**options), seen], peer=peer, resolver=DNS)
    return seen.result


@pytest.mark.parametrize(
    ("sender", "value"),
    [
        ("a@client.example", "fail"),
        ("a@soft.example", "softfail"),
        ("a@unsure.example", "neutral"),
        ("a@bare.example", "none"),
        ("a@absent.example", "none"),
        ("a@wrong.example", "permerror"),
        ("a@dead.example", "temperror"),
    ],
)
def test_the_result_is_that_of_the_record(sender, value):
    found = result(sender)
    assert (found.value, found.score) == (value, 0.0)
    assert found.facts["mailfrom"] == sender
    assert found.facts["domain"] == sender.partition("@")[2]


def test_a_permitted_client_passes():
    assert result("a@client.example", PERMITTED).value == "pass"


def test_the_null_sender_is_checked_by_the_helo_name():
    found = result("", PERMITTED)
    assert (found.value, found.facts["helo"]) == ("pass", "mail.client.example")


def test_results_give_points():
    assert result("a@soft.example", softfail=2.5).score == 2.5


@pytest.mark.parametrize(
    ("sender", "options", "reply"),
    [
        ("a@client.example", {"fail": "deny"}, "550 5.7.23 SPF: the client is not permitted*"),
        ("a@soft.example", {"softfail": "defer"}, "450 4.7.23 SPF: the client is probably not*"),
        ("a@told.example", {"fail": "deny"}, "550 5.7.23 198.51.100.1 may not send*"),
        ("a@wrong.example", {"permerror": "deny"}, "550 5.7.24 SPF: the record of wrong*"),
        ("a@dead.example", {"temperror": "defer"}, "450 4.7.24 SPF: the record of dead*"),
    ],
)
def test_a_result_can_be_refused(sender, options, reply):
    text = f"S: 220\nC: EHLO mail.client.example\nS: 250\nC: MAIL FROM:<{sender}>\nS: {reply}"
    played = play(text, [Spf(**options)], peer=OTHER, resolver=DNS)
    (decision,) = played.decisions
    assert decision.reason.startswith("spf-")


def test_relays_are_not_checked():
    route = [{"for": ["*"], "to": "discard:", "relay_for": ["198.51.100.0/24"]}]
    text = "S: 220\nC: EHLO mail.client.example\nS: 250\nC: MAIL FROM:<a@client.example>\nS: {}"
    config = {"route": route}
    play(text.format("250"), [Spf(fail="deny")], peer=OTHER, resolver=DNS, config=config)
    checked = Spf(fail="deny", relays=True)
    play(text.format("550"), [checked], peer=OTHER, resolver=DNS, config=config)
