"""Delivery to the hosts named by the DNS: their order, and failures."""

import pytest
from tests.delivery.samples import delivery, message, recipient
from tests.delivery.smtp.peer import DROP, OK, Peer, run, settings

from gatepost.delivery.smtp import mx_target
from gatepost.delivery.smtp.mx_lookup import MAX_HOSTS, mail_hosts
from gatepost.delivery.smtp.mx_target import MxTarget, is_reachable
from gatepost.delivery.target import DeliveryError
from gatepost.testing import FakeResolver

A = recipient("a@example.com")
CONTENT = b"Subject: x\r\n\r\nHello\r\n"
NAME = "gate.example"

DNS = FakeResolver(
    {
        "three.example": [(20, "b.example"), (10, "a.example"), (30, "c.example")],
        "null.example": [(0, "")],
        "odd.example": [(0, ""), (5, "a.example")],
        "ours.example": [(10, "a.example"), (20, NAME), (20, "b.example"), (30, "c.example")],
        "best.example": [(10, NAME), (20, "b.example")],
        "many.example": [(number, f"h{number}.example") for number in range(50)],
    },
    {"plain.example": ["192.0.2.1"]},
    fail=["fail.example"],
)
HOSTS = {
    "three.example": ["a.example", "b.example", "c.example"],
    "odd.example": ["a.example"],
    "ours.example": ["a.example"],
    "plain.example": ["plain.example"],
    "[192.0.2.1]": ["192.0.2.1"],
    "[ipv6:2001:db8::1]": ["2001:db8::1"],
    "many.example": [f"h{number}.example" for number in range(MAX_HOSTS)],
}
NO_HOSTS = {
    "null.example": "556 5.1.10 Recipient domain does not accept mail (null MX)",
    "best.example": "550 5.4.6 Mail for best.example loops back to this server",
    "none.example": "550 5.1.2 Domain none.example not found",
    "fail.example": ("451 4.4.3 DNS lookup of recipient domain failed, please try again later"),
}


@pytest.mark.parametrize("domain", HOSTS)
def test_hosts_are_in_order_of_preference(domain):
    assert run(mail_hosts(DNS, domain, NAME)) == HOSTS[domain]


@pytest.mark.parametrize("domain", NO_HOSTS)
def test_a_domain_without_usable_hosts_is_refused(domain):
    with pytest.raises(DeliveryError) as caught:
        run(mail_hosts(DNS, domain, NAME))
    assert str(caught.value.reply) == NO_HOSTS[domain]
    assert caught.value.permanent == (caught.value.reply.code >= 500)


def test_hosts_of_one_preference_are_in_random_order():
    dns = FakeResolver({"x.example": [(1, "a"), (1, "b")]})

    async def both():
        return {(await mail_hosts(dns, "x.example", NAME))[0] for _ in range(100)}

    assert run(both()) == {"a", "b"}


@pytest.mark.parametrize(
    ("address", "reachable"),
    [
        *(("192.0.2.1", True), ("2001:db8::1", True), ("127.0.0.2", False), ("::1", False)),
        *(("0.0.0.0", False), ("224.0.0.1", False), ("0.0.0.1", False)),
        *(("255.255.255.255", False), ("169.254.1.1", False), ("fe80::1", False)),
        *(("fe80::1%lo", False), ("::", False), ("ff02::1", False)),
        # IPv4 within IPv6: mapped, compatible, 6to4, NAT64
        *(("::ffff:127.0.0.1", False), ("::ffff:7f00:1", False), ("::ffff:0.0.0.0", False)),
        *(("::ffff:169.254.169.254", False), ("::127.0.0.1", False), ("2002:7f00:1::", False)),
        *(("64:ff9b::127.0.0.1", False), ("::ffff:192.0.2.1", True), ("2002:c000:201::", True)),
        ("64:ff9b::192.0.2.1", True),
    ],
)
def test_addresses_of_this_machine_are_not_reachable(address, reachable):
    assert is_reachable(address) == reachable


def test_an_address_of_an_interface_is_not_reachable(monkeypatch):
    """It is irrelevant whether the listener is bound to one or to all addresses."""
    monkeypatch.setattr(mx_target, "is_own_address", lambda address: address == "192.0.2.7")
    assert not is_reachable("192.0.2.7")
    assert not is_reachable("::ffff:192.0.2.7")
    assert is_reachable("192.0.2.8")


@pytest.mark.parametrize("literal", ["ipv6:::ffff:127.0.0.1", "ipv6:::1", "127.0.0.1"])
def test_a_literal_of_this_machine_is_not_connected_to(literal):
    rcpt = recipient(f"root@[{literal}]")
    replies, (peer,) = sent([{}], FakeResolver(), rcpt, reachable=is_reachable)
    assert (replies, peer.connections) == ([UNREACHABLE], 0)


@pytest.mark.parametrize("address", ["::ffff:7f00:1", "::ffff:127.0.0.1", "127.0.0.1"])
def test_a_dns_address_of_this_machine_is_not_connected_to(address):
    replies, (peer,) = sent([{}], dns([address]), reachable=is_reachable)
    assert (replies, peer.connections) == ([UNREACHABLE], 0)


def sent(script, dns, *people, tls=None, reachable=lambda _: True):
    """Deliver to peers at 127.0.0.1, .2 and so on, which share a port; return replies and peers."""

    async def play():
        async with Peer(script[0]) as first:
            port, peers = first.hop.port, [first]
            for number, one in enumerate(script[1:], start=2):
                peers.append(await Peer(one, at=(f"127.0.0.{number}", port)).__aenter__())
            made = settings(tls, verify=False)
            target = MxTarget(made, dns, NAME, port=port, reachable=reachable)
            of = delivery(*(people or (A,)), of=message(CONTENT))
            failures = await target.deliver(of) or {}
            await target.stop()
            for one in peers[1:]:
                await one.__aexit__()
            return [str(failures[p].reply) if p in failures else "" for p in of.recipients], peers

    return run(play())


def dns(*addresses):
    """Return a DNS with a host for each list of addresses, in order of preference."""
    hosts = {f"h{number}.example": one for number, one in enumerate(addresses)}
    return FakeResolver({"example.com": list(enumerate(hosts))}, hosts)


def test_the_preferred_host_gets_the_message():
    replies, (first, second) = sent([{}, {}], dns(["127.0.0.1"], ["127.0.0.2"]))
    assert replies == [""]
    assert (len(first.messages), second.connections) == (1, 0)


AWAY = [{"GREETING": DROP}, {"GREETING": b"554 no\r\n"}, {"EHLO": b"421 bye\r\n"}, {"MAIL": DROP}]


@pytest.mark.parametrize("script", AWAY, ids=str)
def test_the_next_host_gets_the_message_if_one_fails(script):
    replies, (first, second) = sent([script, {}], dns(["127.0.0.1"], ["127.0.0.2"]))
    assert replies == [""]
    assert (len(first.messages), len(second.messages)) == (0, 1)


def test_all_addresses_of_a_host_are_tried():
    replies, (peer,) = sent([{}], dns(["127.0.0.9", "127.0.0.1"]))
    assert replies == [""]
    assert len(peer.messages) == 1


NOT_NOW = [
    *({"GREETING": b"421 4.3.2 busy\r\n"}, {"GREETING": (b"421 busy\r\n", DROP)}),
    *({"GREETING": b"450 later\r\n"}, {"GREETING": b"554 no\r\n"}, {"GREETING": DROP}),
    *({"EHLO": b"421 bye\r\n"}, {"EHLO": b"450 later\r\n"}, {"EHLO": DROP}),
]


@pytest.mark.parametrize("script", NOT_NOW, ids=str)
def test_the_next_address_gets_the_message_if_one_is_busy(script):
    replies, (first, second) = sent([script, {}], dns(["127.0.0.1", "127.0.0.2"]))
    assert replies == [""]
    assert (len(first.messages), len(second.messages)) == (0, 1)


LATER = b"451 4.7.1 later\r\n"
TEMPORARY = [
    {"MAIL": LATER, "RCPT": LATER, "DATA": LATER},
    {"RCPT": LATER, "DATA": LATER},
    {"DATA": LATER},
    {"END": LATER},
]


@pytest.mark.parametrize("script", TEMPORARY, ids=str)
def test_the_next_host_gets_the_message_after_a_temporary_failure(script):
    replies, (_first, second) = sent([script, {}], dns(["127.0.0.1"], ["127.0.0.2"]))
    assert replies == [""]
    assert len(second.messages) == 1
    replies, _ = sent([script, script], dns(["127.0.0.1"], ["127.0.0.2"]))
    assert replies == ["451 4.7.1 later"]


def test_only_the_rest_of_the_recipients_is_tried_at_the_next_host():
    b, c = recipient("b@example.com"), recipient("c@example.com")
    script = {"RCPT": [OK, LATER, b"550 5.1.1 no\r\n"]}
    replies, (_first, second) = sent([script, {}], dns(["127.0.0.1"], ["127.0.0.2"]), A, b, c)
    assert replies == ["", "", "550 5.1.1 no"]
    assert [line for line in second.lines if "RCPT" in line] == ["RCPT TO:<b@example.com>"]


def test_a_reply_is_reported_rather_than_a_host_that_is_down():
    names = dns(["127.0.0.1"], ["127.0.0.9"], [])
    assert sent([{"RCPT": LATER, "DATA": LATER}], names)[0] == ["451 4.7.1 later"]


@pytest.mark.parametrize("hosts", [[[]], [[], []]])
def test_mail_for_a_domain_whose_hosts_do_not_exist_is_refused(hosts):
    missing = ["550 5.4.4 No mail server of domain example.com was found"]
    assert sent([{}], dns(*hosts))[0] == missing
    gone = {"example.com": [(1, "gone.example"), (2, "away.example")]}
    assert sent([{}], FakeResolver(gone))[0] == missing


def test_mail_is_deferred_if_one_of_the_hosts_may_exist():
    names = FakeResolver({"example.com": [(1, "gone.example"), (2, "h")]}, fail=["h"])
    assert sent([{}], names)[0][0].startswith("451 4.4.3 ")
    names = FakeResolver({"example.com": [(1, "h"), (2, "gone.example")]}, fail=["h"])
    assert sent([{}], names)[0][0].startswith("451 4.4.3 ")
    assert sent([{}], dns([], ["127.0.0.9"]))[0] == [UNREACHABLE]


@pytest.mark.parametrize(
    "script", [{"RCPT": b"550 5.1.1 no\r\n", "DATA": b"503 no\r\n"}, {"END": b"550 5.1.1 no\r\n"}]
)
def test_a_refusal_of_a_host_is_final(script):
    replies, (_, second) = sent([script, {}], dns(["127.0.0.1"], ["127.0.0.2"]))
    assert replies == ["550 5.1.1 no"]
    assert second.connections == 0


def test_no_other_host_is_tried_after_the_content_was_sent():
    replies, (_, second) = sent([{"END": DROP}, {}], dns(["127.0.0.1"], ["127.0.0.2"]))
    assert replies[0].startswith("451 4.4.2 ")
    assert second.connections == 0


UNREACHABLE = "451 4.4.1 Cannot connect to next hop, please try again later"


def test_a_host_without_a_usable_address_is_unreachable():
    replies, (peer,) = sent([{}], dns(["127.0.0.1"]), reachable=is_reachable)
    assert (replies, peer.connections) == ([UNREACHABLE], 0)
    failing = FakeResolver({"example.com": [(1, "h")]}, fail=["h"])
    assert sent([{}], failing)[0][0].startswith("451 4.4.3 ")


def test_each_domain_has_its_own_transaction():
    other, literal, third = (
        recipient("b@other.example"),
        recipient("c@[127.0.0.1]"),
        recipient("d@none.example"),
    )
    names = FakeResolver(
        {"example.com": [(1, "h")], "other.example": [(1, "h")]}, {"h": ["127.0.0.1"]}
    )
    replies, (peer,) = sent([{}], names, A, other, literal, third)
    assert replies == ["", "", "", "550 5.1.2 Domain none.example not found"]
    assert peer.verbs.count("MAIL") == 3
    assert peer.connections == 2


def test_hosts_without_connections_are_dropped(monkeypatch):
    monkeypatch.setattr(mx_target, "MAX_HOSTS_CONNECTED", 1)
    names = FakeResolver(
        {"example.com": [(1, "h")], "other.example": [(1, "i")]},
        {"h": ["127.0.0.1"], "i": ["127.0.0.1"]},
    )
    replies, _ = sent([{"QUIT": OK}], names, A, recipient("b@other.example"))
    assert replies == ["", "451 4.4.5 Too many connections to next hop, please try again later"]
    refusing = {"GREETING": [b"554 no\r\n", b"220 peer\r\n"]}
    replies, _ = sent([refusing], names, A, recipient("b@other.example"))
    assert replies == [UNREACHABLE, ""]


def test_each_domain_is_a_destination():
    target = MxTarget(settings(), DNS, NAME)
    assert target.destination(recipient("a@Müller.example")) == "mx:xn--mller-kva.example"
    assert target.destination(recipient("postmaster")) == f"mx:{NAME}"


def test_dsn_duties_accepted_by_a_host_are_recorded():
    async def dsn_delegated():
        script = {"EHLO": b"250-peer\r\n250 DSN\r\n"}
        async with Peer(script) as peer:
            made = settings(verify=False)
            target = MxTarget(
                made, dns(["127.0.0.1"]), NAME, port=peer.hop.port, reachable=lambda _: True
            )
            of = delivery(A, of=message(CONTENT))
            await target.deliver(of)
            await target.stop()
            return of.dsn_delegated

    assert run(dsn_delegated()) == {A}
