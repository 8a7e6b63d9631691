"""A real Exim that asks Gatepost, set up as docs/exim.md describes."""

import re

import pytest
from tests.e2e.asking import (
    ALICE,
    BOB,
    CHUNK,
    LISTEN,
    MAIL,
    REFUSED,
    TEXT,
    TRAP_ELSEWHERE,
    UNKNOWN_TRAP,
    USER_TRAP,
    Asking,
    policy_port,
)
from tests.e2e.conftest import serving
from tools import exim

from gatepost.cli.shared.mail_servers import MAIL_SERVERS

PARTS = re.compile(r"^# \d\..*(?:\n#.*)*\n", re.MULTILINE)
REFUSED_USERS = ["trap@example.com", "carol@example.com"]


def parts(port):
    """Return the four parts of the settings, for this port."""
    return PARTS.split(MAIL_SERVERS["exim"].settings.replace("10040", str(port)))[1:]


def start(server):
    main, rule, rule_of_data, acls = parts(policy_port(server))
    acls += f"content:\n{rule_of_data}  accept\n"
    return exim.running(main, REFUSED_USERS, acls=acls, rules=rule, data="content")


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    if reason := exim.why_not():
        pytest.skip(reason)
    with serving(tmp_path_factory.mktemp("exim"), LISTEN) as server, start(server) as mail:
        yield Asking(mail, server)


def test_an_unknown_trap_refuses_the_message_to_a_user(asking):
    replies = asking.send(MAIL, ALICE, UNKNOWN_TRAP, "DATA", "DATA", BOB, "DATA")
    assert replies[1:] == ["250 Accepted", "550 no such mailbox", *[REFUSED] * 4]


def test_a_trap_that_is_a_user_refuses_the_message(asking):
    assert asking.send(MAIL, USER_TRAP, ALICE, "DATA")[3] == REFUSED


def test_a_trap_refuses_a_chunk(asking):
    assert asking.send(MAIL, ALICE, UNKNOWN_TRAP, CHUNK)[3] == REFUSED


def test_mail_without_a_trap_is_accepted(asking):
    replies = asking.send(MAIL, UNKNOWN_TRAP, "RSET", MAIL, ALICE, "DATA", TEXT, MAIL, ALICE, CHUNK)
    assert replies[6].startswith("250 OK id=")
    assert replies[9].startswith("250 ")


def test_an_attempt_to_relay_to_a_trap_is_not_seen(asking):
    replies = asking.send(MAIL, ALICE, TRAP_ELSEWHERE, "DATA", TEXT)
    assert replies[2] == "550 relay not permitted"
    assert replies[4].startswith("250 OK")


def test_a_local_part_that_needs_quotes_is_asked_about(asking):
    assert asking.send(MAIL, 'RCPT TO:<"a b"@open.example>')[1] == "250 Accepted"


def test_exim_defers_while_gatepost_is_away(tmp_path):
    if reason := exim.why_not():
        pytest.skip(reason)
    with serving(tmp_path, LISTEN) as server, start(server) as mail:
        asking = Asking(mail, server)
        server.stop()
        replies = asking.send(MAIL, ALICE)
        assert replies[1] == "451 4.3.0 Policy service is not available"
