"""Delivery status notifications: which clients can request them."""

import asyncio

import pytest
from tests.auth.samples import b64, plain, user
from tests.session.authentication import WELCOME, AuthClient, auth_config
from tests.session.dialogue import TRAPS, config

from gatepost.testing import MemoryServer, play

LOCAL, UNTRUSTED = ("127.0.0.1", 40000), ("192.0.2.1", 40000)
AUTH = f"AUTH PLAIN {b64(plain('alice', 'secret'))}"
SENDER, RECIPIENT = "MAIL FROM:<alice@example.net>", "RCPT TO:<bob@example.com>"
NOT_OFFERED = "555 5.5.4 DSN is not offered ["
NEEDS_AUTH = "555 5.5.4 NOTIFY=SUCCESS requires authentication ["
HELLO = {"smtp": "EHLO", "lmtp": "LHLO"}


class Spool:
    """Records the requested notifications of success."""

    def __init__(self):
        self.reported = []

    async def report_successes(self, _tx, message, successes):
        assert bytes(message)
        self.reported.append({str(one.address): action for one, action in successes.items()})


@pytest.fixture
def users(tmp_path):
    return auth_config(tmp_path, users=[user()])


def run_client(scenario, config, peer, protocol="smtp", spool=None):
    """Pass a client and the lines of its EHLO reply to a coroutine function."""

    async def main():
        async with MemoryServer(config=config, traps=TRAPS) as server:
            server.setup.queue = spool
            client = AuthClient(server, peer=peer, protocol=protocol)
            return await scenario(client, (await client.hello(HELLO[protocol])).split("\n"))

    return asyncio.run(main())


def offered(*args):
    async def scenario(_client, lines):
        return any(line[4:] == "DSN" for line in lines)

    return run_client(scenario, *args)


def send(lines, *args):
    """Send these lines one by one; return the replies."""

    async def scenario(client, _lines):
        return [await client.command(line) for line in lines]

    return run_client(scenario, *args)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_dsn_is_offered_to_local_clients_and_with_auth(tmp_path, users, protocol):
    assert offered(config(), LOCAL, protocol, Spool())
    assert offered(config(), ("::1", 1), protocol, Spool())
    assert offered(users, UNTRUSTED, protocol, Spool())
    assert not offered(config(), UNTRUSTED, protocol, Spool())
    only_under_tls = auth_config(tmp_path, users=[user()], auth={"clear": False})
    assert not offered(only_under_tls, UNTRUSTED, protocol, Spool())
    assert not offered(config(), LOCAL, protocol, None)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_client_without_the_offer_cannot_request_dsn(protocol):
    lines = [
        f"{SENDER} RET=HDRS", f"{SENDER} ENVID=x", f"{SENDER} SIZE=1",
        f"{RECIPIENT} NOTIFY=NEVER", f"{RECIPIENT} ORCPT=rfc822;a@b", RECIPIENT,
    ]  # fmt: skip
    replies = send(lines, config(), UNTRUSTED, protocol, Spool())
    assert [one.startswith(NOT_OFFERED) for one in replies] == [True, True, False] * 2
    assert [one[:3] for one in replies] == ["555", "555", "250"] * 2


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_notify_success_requires_authentication(users, protocol):
    lines = [
        f"{SENDER} RET=HDRS ENVID=x",
        f"{RECIPIENT} NOTIFY=FAILURE,SUCCESS",
        f"{RECIPIENT} NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@b",
        f"{RECIPIENT} NOTIFY=NEVER",
        "RSET",
        AUTH,
        SENDER,
        f"{RECIPIENT} NOTIFY=FAILURE,SUCCESS",
    ]
    replies = send(lines, users, UNTRUSTED, protocol, Spool())
    assert replies[1].startswith(NEEDS_AUTH)
    assert replies[5] == WELCOME
    assert [one[:3] for one in replies] == ["250", "555", "250", "250", "250", "235", "250", "250"]


def test_trap_counts_if_its_dsn_parameter_is_refused():
    trap = f"RCPT TO:<{TRAPS[0]}> NOTIFY=SUCCESS"
    replies = send([SENDER, trap, RECIPIENT, "DATA"], config(), UNTRUSTED, "smtp", Spool())
    assert [one[:3] for one in replies] == ["250", "555", "250", "554"]


def test_message_taken_by_a_plugin_is_reported_as_relayed():
    spool = Spool()
    notify = ["NOTIFY=SUCCESS", "NOTIFY=FAILURE", ""]
    lines = [f"RCPT TO:<{number}@example.com> {one}" for number, one in enumerate(notify)]
    replies = send([SENDER, *lines, "DATA", "Subject: x\r\n\r\n."], config(), LOCAL, "smtp", spool)
    assert [one[:3] for one in replies] == ["250"] * 4 + ["354", "250"]
    assert spool.reported == [{"0@example.com": "relayed"}]


def test_dsn_is_not_offered_without_a_queue():
    play(
        f"S: 220\nC: EHLO x\nS: 250\nC: {SENDER} RET=FULL\nS: {NOT_OFFERED}*",
        config=config(),
        peer=LOCAL,
    )
