"""A real OpenSMTPD with `gatepost filter`, set up as docs/opensmtpd.md describes."""

import re
import smtplib

import pytest
from tests.e2e.asking import (
    ALICE,
    BOB,
    LISTEN,
    MAIL,
    REFUSED,
    TEXT,
    UNKNOWN_TRAP,
    USER_TRAP,
    Asking,
    policy_port,
)
from tests.e2e.conftest import serving
from tests.e2e.server import GATEPOST
from tools import opensmtpd

from gatepost.cli.shared.mail_servers import MAIL_SERVERS

REFUSED_USERS = ["trap@example.com", "carol@example.com"]


def start(server, options=""):
    """Run OpenSMTPD with the filter; its own account cannot read the folder of the tests."""
    text = MAIL_SERVERS["opensmtpd"].settings.replace("10040", str(policy_port(server)))
    first, second = text.splitlines()
    first = first.replace('"gatepost filter', f'"{GATEPOST} filter{options}') + ' user "root"'
    listen = re.fullmatch(r"listen on \S+ (.*)", second)
    return opensmtpd.running(first, REFUSED_USERS, options=listen[1])


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    if reason := opensmtpd.why_not():
        pytest.skip(reason)
    with serving(tmp_path_factory.mktemp("opensmtpd"), LISTEN) as server, start(server) as mail:
        yield Asking(mail, server)


def test_an_unknown_trap_refuses_the_message_to_a_user(asking):
    replies = asking.send(MAIL, ALICE, UNKNOWN_TRAP, "DATA", "DATA", BOB, "DATA")
    assert replies[2] == "550 Invalid recipient: <trap@example.com>"
    assert replies[3:] == [REFUSED] * 4


def test_a_trap_that_is_a_user_refuses_the_message(asking):
    assert asking.send(MAIL, USER_TRAP, ALICE, "DATA")[3] == REFUSED


def test_mail_without_a_trap_is_accepted(asking):
    replies = asking.send(MAIL, UNKNOWN_TRAP, "RSET", MAIL, ALICE, "DATA", TEXT)
    assert replies[6].startswith("250 2.0.0 ")


def test_each_message_of_a_session_is_decided_alone(asking):
    replies = asking.send(MAIL, USER_TRAP, "DATA", "RSET", MAIL, ALICE, "DATA", TEXT)
    assert replies[2] == REFUSED
    assert replies[7].startswith("250 2.0.0 ")


def away(asking):
    """Return the reply to MAIL, or to the connection, while Gatepost is away."""
    try:
        return asking.send(MAIL)[0]
    except smtplib.SMTPConnectError as error:
        return f"{error.smtp_code} {error.smtp_error.decode()}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "421 4.3.0 Policy service is not available, try again later"),
        (" --unavailable accept", "250 2.0.0 Ok"),
    ],
)
def test_gatepost_may_be_away_and_come_back(tmp_path, options, expected):
    if reason := opensmtpd.why_not():
        pytest.skip(reason)
    with serving(tmp_path, LISTEN) as server, start(server, options) as mail:
        asking, port = Asking(mail, server), policy_port(server)
        server.stop()
        assert away(asking) == expected
        config = server.folder / "gatepost.toml"
        fixed = LISTEN.replace("127.0.0.1:0", f"127.0.0.1:{port}")
        config.write_text(config.read_text().replace(LISTEN, fixed))
        server.start()
        assert asking.send(MAIL, USER_TRAP, "DATA")[2] == REFUSED
