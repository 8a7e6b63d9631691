"""Delivery status notifications: who is offered them, and who may ask for what."""

import asyncio

import pytest
from tests.auth.samples import b64, plain, user
from tests.session.dialogue import TRAPS, config
from tests.session.test_auth import WELCOME, Talk, made

from gatepost.testing import MemoryServer, play

LOCAL, STRANGER = ("127.0.0.1", 40000), ("192.0.2.1", 40000)
AUTH = f"AUTH PLAIN {b64(plain('alice', 'secret'))}"
SENDER, RECIPIENT = "MAIL FROM:<alice@example.net>", "RCPT TO:<bob@example.com>"
NOT_OFFERED = "555 5.5.4 DSN is not offered ["
NOT_YOU = "555 5.5.4 NOTIFY=SUCCESS is not for everybody: authenticate first ["
HELLO = {"smtp": "EHLO", "lmtp": "LHLO"}


class Spool:
    """Keeps whom a sender is to be told of."""

    def __init__(self):
        self.told = []

    async def report_successes(self, _tx, message, successes):
        assert bytes(message)
        self.told.append({str(one.address): action for one, action in successes.items()})


@pytest.fixture
def users(tmp_path):
    return made(tmp_path, users=[user()])


def talking(scenario, config, peer, protocol="smtp", spool=None):
    """Give a client, and what it was offered, to a coroutine function."""

    async def main():
        async with MemoryServer(config=config, traps=TRAPS) as server:
            server.setup.spool = spool
            talk = Talk(server, peer=peer, protocol=protocol)
            return await scenario(talk, (await talk.hello(HELLO[protocol])).split("\n"))

    return asyncio.run(main())


def offered(*args):
    async def scenario(_talk, lines):
        return any(line[4:] == "DSN" for line in lines)

    return talking(scenario, *args)


def say(lines, *args):
    """Say these lines one by one; return the replies."""

    async def scenario(talk, _lines):
        return [await talk.say(line) for line in lines]

    return talking(scenario, *args)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_they_are_offered_to_those_who_may_be_told(tmp_path, users, protocol):
    assert offered(config(), LOCAL, protocol, Spool())
    assert offered(config(), ("::1", 1), protocol, Spool())
    assert offered(users, STRANGER, protocol, Spool())
    assert not offered(config(), STRANGER, protocol, Spool())
    only_under_tls = made(tmp_path, users=[user()], auth={"clear": False})
    assert not offered(only_under_tls, STRANGER, protocol, Spool())
    assert not offered(config(), LOCAL, protocol, None)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_who_is_not_offered_them_cannot_ask(protocol):
    lines = [
        f"{SENDER} RET=HDRS", f"{SENDER} ENVID=x", f"{SENDER} SIZE=1",
        f"{RECIPIENT} NOTIFY=NEVER", f"{RECIPIENT} ORCPT=rfc822;a@b", RECIPIENT,
    ]  # fmt: skip
    replies = say(lines, config(), STRANGER, protocol, Spool())
    assert [one.startswith(NOT_OFFERED) for one in replies] == [True, True, False] * 2
    assert [one[:3] for one in replies] == ["555", "555", "250"] * 2


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_who_may_log_in_is_told_to_before_a_success_is_promised(users, protocol):
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
    replies = say(lines, users, STRANGER, protocol, Spool())
    assert replies[1].startswith(NOT_YOU)
    assert replies[5] == WELCOME
    assert [one[:3] for one in replies] == ["250", "555", "250", "250", "250", "235", "250", "250"]


def test_who_may_not_ask_is_seen_in_a_trap_all_the_same():
    trap = f"RCPT TO:<{TRAPS[0]}> NOTIFY=SUCCESS"
    replies = say([SENDER, trap, RECIPIENT, "DATA"], config(), STRANGER, "smtp", Spool())
    assert [one[:3] for one in replies] == ["250", "555", "250", "554"]


def test_what_a_plugin_has_taken_has_gone_on():
    spool = Spool()
    people = ["NOTIFY=SUCCESS", "NOTIFY=FAILURE", ""]
    lines = [f"RCPT TO:<{number}@example.com> {one}" for number, one in enumerate(people)]
    replies = say([SENDER, *lines, "DATA", "Subject: x\r\n\r\n."], config(), LOCAL, "smtp", spool)
    assert [one[:3] for one in replies] == ["250"] * 4 + ["354", "250"]
    assert spool.told == [{"0@example.com": "relayed"}]


def test_where_nothing_can_be_kept_nobody_is_offered_them():
    play(
        f"S: 220\nC: EHLO x\nS: 250\nC: {SENDER} RET=FULL\nS: {NOT_OFFERED}*",
        config=config(),
        peer=LOCAL,
    )
