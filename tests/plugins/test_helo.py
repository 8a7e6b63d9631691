"""Names in HELO: their form, whose they are, where they lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.plugins.helo import Helo
from gatepost.testing import FakeResolver, play

PEER = ("198.51.100.7", 50000)
MX = "mx.client.example"
DNS = FakeResolver(
    hosts={
        MX: PEER[0],
        "other.client.example": "198.51.100.8",
        "six.client.example": "2001:db8::1",
    },
    mx={"client.example": [(10, MX)], "down.example": [(10, MX)]},
    fail=["down.client.example"],
)
CONFIG = {
    "server": {"hostname": "mail.example.net"},
    "recipients": {"domains": ["example.com", ".local.example"]},
}
MAIL = """
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<{user}@example.com>
    S: {reply}
"""


class Found(Plugin):
    """Keeps the result of the last HELO."""

    after = frozenset({"helo"})

    def on_helo(self, session, name):
        self.result = session.results.get("helo")


def found(*names, peer=PEER, resolver=DNS, **options):
    seen = Found()
    hellos = "".join(f"C: EHLO {name}\nS: 250\n" for name in names)
    play(f"S: 220\n{hellos}", [Helo(**options), seen], peer=peer, resolver=resolver, config=CONFIG)
    return seen.result


def mail(name, reply, user="user"):
    return f"S: 220\nC: EHLO {name}\nS: 250\n{MAIL.format(user=user, reply=reply)}"


CASES = {
    MX: ("pass", 0),
    "MX.Client.Example.": ("pass", 0),
    "[198.51.100.7]": ("pass", 0),
    "[IPv6:::ffff:198.51.100.7]": ("pass", 0),
    "client.example": ("elsewhere", 1),
    "other.client.example": ("elsewhere", 1),
    "six.client.example": ("elsewhere", 1),
    "none.client.example": ("unresolved", 2),
    "WIN_PC.client.example": ("unresolved", 2),
    "localhost": ("bare", 2),
    "[198.51.100.9]": ("literal", 2),
    "[IPv6:2001:db8::9]": ("literal", 2),
    "[tag:content]": ("literal", 2),
    "198.51.100.7": ("invalid", 3),
    "[198.51.100]": ("invalid", 3),
    "[]": ("invalid", 3),
    "a..b": ("invalid", 3),
    "-client.example": ("invalid", 3),
    "a@b.example": ("invalid", 3),
    "x" * 64 + ".example": ("invalid", 3),
    "x." * 124 + "example": ("unresolved", 2),
    "example.com": ("own_domain", 3),
    "web.local.example": ("own_domain", 3),
    "MAIL.example.net": ("own_name", 0),
    "[192.0.2.25]": ("own_address", 0),
    "down.client.example": ("temperror", 0),
}


@pytest.mark.parametrize("name", CASES)
def test_each_name_has_a_result(name):
    result = found(name)
    assert (result.value, result.score) == CASES[name]
    assert result.facts["name"] == name[:255]


@pytest.mark.parametrize("peer", [("2001:db8::1", 1), ("2001:DB8:0::1", 1)])
def test_a_client_with_an_ipv6_address(peer):
    assert found("six.client.example", peer=peer).value == "pass"
    assert found("[IPv6:2001:db8:0::1]", peer=peer).value == "pass"
    assert found(MX, peer=peer).value == "elsewhere"


@pytest.mark.parametrize("peer", [("127.0.0.1", 1), ("192.168.1.2", 1), ("local", 0)])
def test_internal_clients_are_not_checked(peer):
    assert found("mail.example.net", peer=peer) is None


def test_a_changed_name_has_points_of_its_own():
    assert found(MX, MX.upper()).value == "pass"
    result = found(MX, "localhost")
    assert (result.value, result.facts["findings"], result.score) == ("bare", "bare changed", 3)
    assert found("localhost", MX).value == "changed"


@pytest.mark.parametrize("finding", ["invalid", "own_domain", "literal", "bare", "unresolved"])
def test_each_finding_can_refuse_a_recipient(finding):
    name = next(one for one, (value, _) in CASES.items() if value == finding)
    for word, reply in (("deny", "550 5.7.1 *"), ("defer", "450 4.7.1 *")):
        plugin = Helo(**{finding: word})
        played = play(mail(name, reply), [plugin], peer=PEER, resolver=DNS, config=CONFIG)
        assert [(one.hook, one.reason) for one in played.decisions] == [("rcpt", finding)]
        assert played.metrics.value("gatepost_plugin_helo_found", finding=finding) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mail.example.net", "Your HELO name is that of this server"),
        ("[192.0.2.25]", "Your HELO name is the address of this server"),
    ],
)
def test_names_of_this_server_are_refused_by_default(name, text):
    play(mail(name, f"550 5.7.1 {text}*"), [Helo()], peer=PEER, resolver=DNS, config=CONFIG)
    play(mail(name, "250", "postmaster"), [Helo()], peer=PEER, resolver=DNS, config=CONFIG)


def test_a_refusal_comes_before_a_deferral():
    transcript = f"S: 220\nC: EHLO {MX}\nS: 250\n" + mail("localhost", "550").partition("\n")[2]
    plugin = Helo(bare="defer", changed="deny")
    play(transcript, [plugin], peer=PEER, resolver=DNS, config=CONFIG)


def test_a_name_can_be_refused_at_helo_and_corrected():
    transcript = f"""
        S: 220
        C: EHLO mail.example.net
        S: 550 5.7.1 Your HELO name is that of this server*
        C: EHLO {MX}
        S: 250
    """
    plugin = Helo(decide_at="helo")
    play(transcript, [plugin], peer=PEER, resolver=DNS, config=CONFIG)


def test_a_name_that_leads_elsewhere_cannot_be_refused():
    with pytest.raises(ValueError, match="expected a number"):
        Helo(elsewhere="deny")


def test_without_a_reaction_no_question_is_asked():
    class Silent:
        async def a(self, name):
            raise AssertionError

        aaaa = mx = a

    quiet = {"unresolved": "none", "elsewhere": 0}
    assert found("none.client.example", resolver=Silent(), **quiet).value == "pass"


def test_a_failed_look_up_is_counted_and_gives_no_points():
    transcript = "S: 220\nC: EHLO down.client.example\nS: 250"
    played = play(transcript, [Helo()], peer=PEER, resolver=DNS)
    assert played.metrics.value("gatepost_plugin_helo_unanswered") == 1


def test_in_shadow_mode_nothing_is_refused():
    shadow = Installed(Helo(), shadow=True)
    played = play(mail("mail.example.net", "250"), [shadow], peer=PEER, config=CONFIG)
    assert played.decisions == []


@given(st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "S"]), min_size=1))
def test_any_name_has_a_result(name):
    assert found(name.replace("*", "").strip() or "x") is not None
