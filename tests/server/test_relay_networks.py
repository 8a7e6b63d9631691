"""Networks of `relay_for`: which clients may send to foreign domains, also behind a proxy."""

from ipaddress import ip_network

import msgspec
import pytest
from tests.server.loopback import config, run
from tests.server.proxies import PROXY_ONLY, SessionRecorder, from_address
from tests.wire.headers import LOCAL, UNIX, v2

from gatepost.config.relay import RelayFor
from gatepost.config.schema import RouteConfig
from gatepost.delivery.route import Route
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts, Session
from gatepost.model.trust import is_trusted
from gatepost.testing import play

NETWORKS = ("127.0.0.1", "127.0.0.8/30", "192.0.2.0/24", "2001:db8::/32")
RELAY = RouteConfig(to="discard:", relay_for=RelayFor(False, tuple(map(ip_network, NETWORKS))))
ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@elsewhere.example>\r\nQUIT\r\n"
DENIED, ALLOWED = "550", "250"


def relaying(folder, **listen):
    made = config(folder)
    listener = msgspec.structs.replace(made.listen[0], **listen)
    return msgspec.structs.replace(made, listen=[listener], route=[RELAY])


def answer(configuration, *before, host="127.0.0.1"):
    """Send octets and then the envelope; return the code of RCPT and the last session."""
    codes, recorder = [], SessionRecorder()

    async def scenario(running):
        client = await from_address(running, host)
        for octets in before:
            client.send(octets)
        client.send(ENVELOPE)
        replies = len(before) - (b"PROXY" in before[0] or b"\r\n\r\n" in before[0] if before else 0)
        codes.extend(await client.codes(1 + replies + 4))
        await client.close()

    run(scenario, configuration, [recorder])
    return codes[-2], recorder.sessions[-1]


@pytest.mark.parametrize(
    ("host", "code"),
    [("127.0.0.1", ALLOWED), ("127.0.0.9", ALLOWED), ("127.0.0.12", DENIED)],
)
def test_a_client_of_a_network_may_relay(tmp_path, host, code):
    found, session = answer(relaying(tmp_path), host=host)
    assert (found, session.in_relay_network) == (code, code == ALLOWED)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.9 1 25\r\n", ALLOWED),
        (b"PROXY TCP6 2001:db8::1 2001:db8::9 1 25\r\n", ALLOWED),
        (b"PROXY TCP4 198.51.100.7 192.0.2.9 1 25\r\n", DENIED),
        (b"PROXY UNKNOWN\r\n", DENIED),
        (v2(bytes(216), family=UNIX), DENIED),
        (v2(b"", LOCAL), ALLOWED),
    ],
)
def test_behind_a_proxy_the_address_in_the_header_counts(tmp_path, header, code):
    assert answer(relaying(tmp_path, proxy_from=PROXY_ONLY), header)[0] == code


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ("ADDR=192.0.2.7", ALLOWED),
        ("ADDR=IPV6:2001:db8::1", ALLOWED),
        ("ADDR=198.51.100.7", DENIED),
        ("ADDR=[UNAVAILABLE]", DENIED),
        ("HELO=x", DENIED),
    ],
)
def test_after_xclient_the_named_address_counts(tmp_path, attributes, code):
    command = f"XCLIENT {attributes}\r\n".encode()
    assert answer(relaying(tmp_path, xclient_from=PROXY_ONLY), command)[0] == code


def session(host, *, within=True, user=""):
    return Session(
        "s", Endpoint(host), Endpoint(host), 0.0,
        in_relay_network=within, auth=AuthFacts(user, "PLAIN") if user else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("client", "networks", "authenticated"),
    [
        (session("192.0.2.7"), True, False),
        (session("192.0.2.7", within=False), False, False),
        (session("198.51.100.7"), False, False),
        (session("local"), False, False),
        (session("198.51.100.7", within=False, user="x"), False, True),
    ],
)
def test_the_networks_and_users_of_a_route(client, networks, authenticated):
    by_network = Route(None, "", relay_for=RELAY.relay_for)
    by_login = Route(None, "", relay_for=RelayFor(authenticated=True))
    both = Route(None, "", relay_for=RelayFor(True, RELAY.relay_for.networks))
    neither = Route(None, "")
    found = [one.relays_for(client) for one in (by_network, by_login, both, neither)]
    assert found == [networks, authenticated, networks or authenticated, False]
    assert [one.relays for one in (by_network, by_login, both, neither)] == [True] * 3 + [False]


def test_a_client_of_a_relay_network_is_trusted():
    assert is_trusted(session("192.0.2.7"))
    assert not is_trusted(session("192.0.2.7", within=False))


def test_local_domains_and_traps_are_checked_for_clients_of_the_network():
    settings = {
        "route": [
            {"for": ["elsewhere.example"], "to": "discard:"},
            {"to": "discard:", "relay_for": ["192.0.2.0/24"]},
        ],
        "recipients": {"domains": ["example.com"], "known": ["one@example.com"]},
    }
    play(
        """
        S: 220
        C: EHLO x
        S: 250
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<one@example.com>
        S: 250
        C: RCPT TO:<two@example.com>
        S: 550 5.1.1*
        C: RCPT TO:<trap@foreign.example>
        S: 250
        C: RCPT TO:<x@elsewhere.example>
        S: 550 5.7.1*
        C: DATA
        S: 554 5.7.1*
        """,
        traps=["trap@foreign.example"],
        config=settings,
        peer=("192.0.2.9", 1),
    )
