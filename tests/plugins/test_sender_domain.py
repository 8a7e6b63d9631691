"""Domains of senders that can, or cannot, receive mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugins.sender_domain import SenderDomain
from gatepost.testing import FakeResolver, play

PEER = ("198.51.100.7", 50000)
GOOD = "198.51.100.25"
CONFIG = {"recipients": {"domains": ["example.com", "xn--bcher-kva.example"]}}


def many(*hosts):
    return [(10 * number, host) for number, host in enumerate(hosts, 1)]


DNS = FakeResolver(
    mx={
        "good.example": many("mx.good.example"),
        "null.example": [(0, "")],
        "odd.example": [(0, ""), (10, "mx.good.example")],
        "loop.example": many("localhost.example"),
        "zero.example": many("zero.host.example"),
        "our.example": many("our.host.example"),
        "half.example": many("zero.host.example", "mx.good.example"),
        "gone.example": many("gone.host.example", "empty.host.example"),
        "slow.example": many("gone.host.example", "down.host.example"),
        "quick.example": many("down.host.example", "mx.good.example"),
        "wide.example": many(*[f"gone{number}.host.example" for number in range(30)]),
        "down.example": many("mx.good.example"),
    },
    hosts={
        "mx.good.example": GOOD,
        "a.example": GOOD,
        "six.example": "2001:db8::25",
        "private.example": ["10.0.0.1", "::ffff:192.168.0.1", "fd00::1"],
        "localhost.example": ["127.0.0.1", "::1"],
        "zero.host.example": ["0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1"],
        "our.host.example": "192.0.2.25",
        "empty.host.example": [],
    },
    txt={"text.example": "v=spf1 -all"},
    fail=["down.example", "down.host.example"],
)
CASES = {
    "good.example": ("pass", ""),
    "a.example": ("pass", ""),
    "six.example": ("pass", ""),
    "odd.example": ("pass", ""),
    "half.example": ("pass", ""),
    "quick.example": ("pass", ""),
    "wide.example": ("pass", ""),
    "none.example": ("missing", "5.1.8 The sender's domain does not exist"),
    "text.example": ("missing", "5.1.8 The sender's domain does not exist"),
    "localhost": ("missing", "5.1.8 The sender's domain does not exist"),
    "null.example": ("null_mx", "5.7.27 The sender's domain has a null MX"),
    "loop.example": ("bogus", "5.1.8 The sender's domain cannot receive mail: wrong addresses"),
    "zero.example": ("bogus", "5.1.8 The sender's domain cannot receive mail: wrong addresses"),
    "private.example": ("bogus", "5.1.8 The sender's domain cannot receive mail: wrong addresses"),
    "our.example": ("bogus", "5.1.8 The sender's domain cannot receive mail: wrong addresses"),
    "gone.example": (
        "dangling",
        "5.1.8 The sender's domain cannot receive mail: its mail servers do not exist",
    ),
    "[198.51.100.7]": ("literal", "5.1.7 The sender's address has no domain"),
    "[IPv6:2001:db8::7]": ("literal", "5.1.7 The sender's address has no domain"),
    "example.com": ("own", "5.7.1 Authenticate to send as this domain"),
    "XN--BCHER-KVA.example.": ("own", "5.7.1 Authenticate to send as this domain"),
    "down.example": ("temperror", "5.1.8 Looking up the sender's domain failed"),
    "slow.example": ("temperror", "5.1.8 Looking up the sender's domain failed"),
}
REFUSED = {value: name for name, (value, text) in CASES.items() if text}
TEXT = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<{sender}>
    S: {mail}
"""
RCPT = """
    C: RCPT TO:<{user}@example.com>
    S: {reply}
"""


class Found(Plugin):
    """Keeps the result of the last sender."""

    after = frozenset({"sender_domain"})

    def on_mail(self, tx, sender):
        self.result = tx.results.get("sender_domain")


def run(sender, plugin, reply="250", *, mail="250", user="user", config=CONFIG):
    transcript = TEXT.format(sender=sender, mail=mail)
    if mail == "250":
        transcript += RCPT.format(user=user, reply=reply)
    seen = Found()
    played = play(transcript, [plugin, seen], peer=PEER, resolver=DNS, config=config)
    return played, getattr(seen, "result", None)


QUIET = dict.fromkeys(REFUSED, "none")


@pytest.mark.parametrize("domain", CASES)
def test_each_domain_has_a_result(domain):
    _, result = run(f"a@{domain}", SenderDomain(**QUIET))
    assert (result.value, result.score) == (CASES[domain][0], 0)


@pytest.mark.parametrize("value", REFUSED)
def test_each_finding_can_refuse_defer_and_give_points(value):
    sender, text = f"a@{REFUSED[value]}", CASES[REFUSED[value]][1]
    played, _ = run(sender, SenderDomain(**{value: "deny"}), reply=f"550 {text}*")
    assert [(one.hook, one.reason) for one in played.decisions] == [("rcpt", value)]
    assert played.metrics.value("gatepost_plugin_sender_domain_found", finding=value) == 1
    run(sender, SenderDomain(**{value: "defer"}), reply=f"450 4{text[1:]}*")
    assert run(sender, SenderDomain(**{value: 2.5}))[1].score == 2.5


@pytest.mark.parametrize("value", REFUSED)
def test_what_cannot_get_a_reply_is_refused_by_default(value):
    refused = value in ("missing", "null_mx", "bogus")
    sender = f"a@{REFUSED[value]}"
    run(sender, SenderDomain(), reply="550" if refused else "250")
    run(sender, SenderDomain(), user="postmaster")


def test_the_null_sender_is_not_checked():
    _, result = run("", SenderDomain())
    assert result.value == "none"


def test_a_sender_can_be_refused_at_mail():
    run("a@null.example", SenderDomain(decide_at="mail"), mail="550 5.7.27 *")


def test_the_finding_ends_with_the_transaction():
    transcript = TEXT.format(sender="a@none.example", mail="250") + (
        "C: RCPT TO:<user@example.com>\nS: 550\nC: RSET\nS: 250\n"
        "C: MAIL FROM:<a@good.example>\nS: 250\nC: RCPT TO:<user@example.com>\nS: 250\n"
    )
    play(transcript, [SenderDomain()], peer=PEER, resolver=DNS)


def test_a_relay_network_may_send_from_any_domain():
    config = {"route": [{"for": ["*"], "to": "discard:", "relay_for": ["198.51.100.0/24"]}]}
    assert run("a@none.example", SenderDomain(), config=config)[1] is None


def test_a_domain_has_a_reaction_of_its_own():
    lenient = SenderDomain(options_for={"example.com": {"missing": "none"}})
    run("a@none.example", lenient)


def test_in_shadow_mode_nothing_is_refused():
    played, result = run("a@none.example", Installed(SenderDomain(), shadow=True))
    assert (played.decisions, result.value) == ([], "missing")


def test_only_some_hosts_are_looked_up():
    asked = []

    class Counting(FakeResolver):
        async def addresses(self, host):
            asked.append(host)
            return await super().addresses(host)

    resolver = Counting(mx={"wide.example": many(*[f"mx{n:02}.example" for n in range(30)])})
    transcript = TEXT.format(sender="a@wide.example", mail="250")
    play(transcript, [SenderDomain(hosts=3)], peer=PEER, resolver=resolver)
    assert asked == ["mx00.example", "mx01.example", "mx02.example"]


@pytest.mark.parametrize("hosts", [0, 21])
def test_the_number_of_hosts_is_limited(hosts):
    with pytest.raises(ValueError, match="expected 1 to 20 hosts"):
        SenderDomain(hosts=hosts)


ADDRESS = st.ip_addresses().map(str) | st.sampled_from(["", "x", "10.0.0.1", "::"])
HOSTS = st.lists(st.tuples(st.integers(0, 65535), st.sampled_from(["", "a.b", "c.d", "x" * 300])))


@given(HOSTS, st.lists(ADDRESS))
def test_any_answer_of_the_dns_has_a_result(mx, addresses):
    class Any(FakeResolver):
        async def mx(self, domain):
            return mx

        async def addresses(self, host):
            return addresses

    transcript = TEXT.format(sender="a@any.example", mail="250")
    play(transcript, [SenderDomain()], peer=PEER, resolver=Any())
