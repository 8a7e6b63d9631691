"""DMARC with the results of SPF, DKIM and trusted forwarders."""

import pytest
from tests.plugins.signing import message, record, transcript

from gatepost import Plugin
from gatepost.plugins.authentication_results import AuthenticationResults
from gatepost.plugins.dkim import Dkim
from gatepost.plugins.dmarc import Dmarc
from gatepost.plugins.spf import Spf
from gatepost.session.assemble import SetupError
from gatepost.testing import FakeResolver, play

PERMITTED, OTHER = ("192.0.2.7", 50000), ("198.51.100.1", 50000)
DNS = FakeResolver(
    txt={
        "client.example": "v=spf1 ip4:192.0.2.0/24 -all",
        "s1._domainkey.client.example": record(),
        "s1._domainkey.other.example": record(),
        "_dmarc.client.example": "v=DMARC1; p=reject; rua=mailto:r@client.example",
        "_dmarc.careful.example": "v=DMARC1; p=quarantine",
        "_dmarc.strict.example": "v=DMARC1; p=none; adkim=s; fo=1:d; t=y; sp=reject; psd=n; x=1",
        "_dmarc.watching.example": "v=DMARC1; p=none",
    },
    fail=["_dmarc.dead.example"],
)


class Forwarded(Plugin):
    """Stands for `arc` after a trusted forwarder."""

    def on_headers(self, tx, headers):
        tx.results.add("arc", "pass", dmarc="pass", trusted=True)


class Seen(Plugin):
    """Keeps the result."""

    after = frozenset({"dmarc"})

    def on_message(self, tx):
        self.result = tx.results.get("dmarc")


def played(content, *plugins, peer=OTHER, end="S: 250", **options):
    seen = Seen()
    chain = [Spf(), Dkim(), Dmarc(**options), *plugins, seen]
    result = play(transcript(content, end=end), chain, peer=peer, resolver=DNS)
    return seen, result


def test_a_signature_of_the_author_passes():
    seen, _ = played(message())
    assert seen.result.value == "pass"
    assert {"dkim": "pass", "spf": "fail", "policy": "reject"}.items() <= seen.result.facts.items()


def test_an_aligned_client_passes():
    seen, _ = played(message(signer=""), peer=PERMITTED)
    assert (seen.result.value, seen.result.facts["spf"]) == ("pass", "pass")


@pytest.mark.parametrize(
    ("author", "disposition", "points"),
    [
        ("a@client.example", "reject", 8.0),
        ("a@careful.example", "quarantine", 4.0),
        ("a@watching.example", "none", 0.0),
    ],
)
def test_a_failure_gives_points_by_the_policy(author, disposition, points):
    seen, _ = played(message(author, "other.example"))
    facts = seen.result.facts
    assert (seen.result.value, facts["disposition"]) == ("fail", disposition)
    assert seen.result.score == points


def test_a_failure_can_be_refused():
    end = "S: 554 5.7.26 DMARC: client.example asks to refuse*"
    _, result = played(message(signer=""), end=end, reject="deny")
    (decision,) = result.decisions
    assert decision.reason == "dmarc-reject"


class Unchecked(Plugin):
    """Stands for `arc` while the keys of a trusted forwarder cannot be looked up."""

    def on_headers(self, tx, headers):
        tx.results.add("arc", "fail", temporary=True)


@pytest.mark.parametrize(("reject", "end"), [("deny", "S: 451 4.7.26 *"), (8, "S: 250")])
def test_a_refusal_is_a_deferral_while_a_forwarder_cannot_be_checked(reject, end):
    chain = [Unchecked(), Spf(), Dkim(), Dmarc(reject=reject)]
    dialogue = transcript(message(signer=""), end=end)
    play(dialogue, chain, resolver=DNS, peer=OTHER)


def test_a_trusted_forwarder_overrides_a_failure():
    seen, _ = played(message(signer=""), Forwarded(), reject="deny")
    assert seen.result.value == "fail"
    assert seen.result.score == 0.0
    assert seen.result.facts["override"] == "trusted forwarder (ARC)"


def test_a_suspect_message_can_be_held():
    seen, result = played(message("a@careful.example", ""), quarantine="hold")
    assert result.messages[0].quarantined == "dmarc-quarantine"
    assert seen.result.facts["held"] is True


def test_the_facts_have_the_record_without_addresses():
    seen, _ = played(message())
    assert seen.result.facts["published"] == "v=DMARC1; p=reject"
    assert seen.result.facts["rua"] == "mailto:r@client.example"
    seen, _ = played(message("a@strict.example", ""))
    published = seen.result.facts["published"]
    assert published == "v=DMARC1; p=none; sp=reject; adkim=s; fo=1:d; t=y"
    assert "rua" not in seen.result.facts


def test_a_dead_name_server_is_a_temporary_error():
    seen, _ = played(message("a@dead.example", ""))
    assert (seen.result.value, seen.result.score) == ("temperror", 0.0)


def test_several_authors_can_be_refused():
    end = "S: 554 5.7.26 DMARC: the From field is wrong*"
    played(message("a@client.example, b@other.example", ""), end=end, permerror="deny")


def test_it_needs_spf_and_dkim():
    with pytest.raises(SetupError, match="plugin dmarc: needs the plugin dkim: add"):
        play("S: 220", [Dmarc(), Spf()])


def test_results_of_a_server_in_front_are_used():
    field = (
        b"Authentication-Results: mx.front.example; spf=pass smtp.mailfrom=a@client.example;\r\n"
        b"\tdkim=fail header.d=client.example\r\n"
    )
    front = AuthenticationResults(networks=["198.51.100.0/24"], servers=["mx.front.example"])
    seen = Seen()
    plugins = [front, Dmarc(), Named("spf"), Named("dkim"), seen]
    play(transcript(field + message(signer="")), plugins, peer=OTHER, resolver=DNS)
    assert (seen.result.value, seen.result.facts["spf"]) == ("pass", "pass")


@pytest.mark.parametrize(
    ("networks", "servers"),
    [(["192.0.2.0/24"], ["mx.front.example"]), (["198.51.100.0/24"], ["other.example"])],
)
def test_results_of_others_are_ignored(networks, servers):
    field = b"Authentication-Results: mx.front.example; spf=pass smtp.mailfrom=a@client.example\r\n"
    front = AuthenticationResults(networks=networks, servers=servers)
    seen = Seen()
    plugins = [front, Spf(), Dkim(), Dmarc(), seen]
    play(transcript(field + message(signer="")), plugins, peer=OTHER, resolver=DNS)
    assert seen.result.value == "fail"


class Named(Plugin):
    """A plugin with the name of another one."""

    def __init__(self, name):
        super().__init__()
        self.name = name
