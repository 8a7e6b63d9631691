"""A real Postfix that asks Gatepost about the envelope, set up as docs/policy.md describes."""

import re
import smtplib
from pathlib import Path

import pytest
from tests.e2e.asking import (
    ALICE,
    BOB,
    CHUNK,
    LISTEN,
    MAIL,
    TEXT,
    TRAP_ELSEWHERE,
    UNKNOWN_TRAP,
    USER_TRAP,
    Asking,
    policy_port,
)
from tests.e2e.conftest import serving
from tests.e2e.server import eventually
from tools import postfix

DOCS = Path(__file__).parents[2] / "docs/policy.md"
USERS = "inline:{alice@example.com=x, bob@example.com=x, trap@open.example=x}"
DATA_REFUSED = "554 5.7.1 <DATA>: Data command rejected: Message refused by local policy"


def main_cf(port):
    """Return the parameters of the documentation, for this port."""
    (text,) = re.findall(
        r"```ini\n(smtpd_recipient_restrictions =.*?)```", DOCS.read_text(), re.DOTALL
    )
    lines = re.sub(r"\n +", " ", text.replace("10040", str(port))).splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    if reason := postfix.why_not():
        pytest.skip(reason)
    with serving(tmp_path_factory.mktemp("policy"), LISTEN) as server:
        main = {
            "virtual_mailbox_domains": "example.com open.example",
            "virtual_mailbox_maps": USERS,
            **main_cf(policy_port(server)),
        }
        with postfix.running(main) as mail:
            yield Asking(mail, server)


def codes(replies):
    return [one[:9] if one[3:4] == " " and one[4].isdigit() else one[:3] for one in replies]


def test_an_unknown_trap_refuses_the_message_to_a_user(asking):
    replies = asking.send(MAIL, ALICE, UNKNOWN_TRAP, "DATA", "DATA", BOB, "DATA")
    assert codes(replies[:3]) == ["250 2.1.0", "250 2.1.5", "550 5.1.1"]
    assert replies[3:5] == [DATA_REFUSED, DATA_REFUSED]
    assert replies[5].startswith("554 5.7.1 <bob@example.com>: Recipient address rejected: ")
    assert replies[6] == DATA_REFUSED


def test_a_trap_alone_is_refused_by_postfix_and_is_a_hit(asking):
    replies = asking.send(MAIL, UNKNOWN_TRAP, "DATA")
    assert codes(replies) == ["250 2.1.0", "550 5.1.1", "554 5.5.1"]


def test_a_trap_that_is_a_user_refuses_the_message(asking):
    replies = asking.send(MAIL, USER_TRAP, ALICE, "DATA")
    assert codes(replies[:3]) == ["250 2.1.0", "250 2.1.5", "250 2.1.5"]
    assert replies[3] == DATA_REFUSED


def test_a_trap_refuses_a_chunk(asking):
    replies = asking.send(MAIL, ALICE, UNKNOWN_TRAP, CHUNK)
    assert (
        replies[3] == DATA_REFUSED.replace("<DATA>: Data", "<BDAT>: Data")
        or replies[3] == DATA_REFUSED
    )


def test_an_attempt_to_relay_to_a_trap_is_not_seen(asking):
    replies = asking.send(MAIL, ALICE, TRAP_ELSEWHERE, "DATA", TEXT)
    assert replies[2].endswith("<trap@elsewhere.example>: Relay access denied")
    assert codes(replies[3:]) == ["354", "250 2.0.0"]


def test_rset_ends_the_transaction_with_the_trap(asking):
    replies = asking.send(MAIL, UNKNOWN_TRAP, "RSET", MAIL, ALICE, "DATA", TEXT)
    assert codes(replies[5:]) == ["354", "250 2.0.0"]


def test_the_next_message_of_the_client_is_not_refused(asking):
    replies = asking.send(
        *(MAIL, ALICE, UNKNOWN_TRAP, "DATA", "RSET"),
        *(MAIL, ALICE, "DATA", TEXT),
        *(MAIL, USER_TRAP, "DATA"),
    )
    assert [replies[3], replies[-1]] == [DATA_REFUSED, DATA_REFUSED]
    assert replies[8].startswith("250 2.0.0 ")


def test_the_ledger_has_the_client_and_the_reference_that_it_got(asking):
    with smtplib.SMTP("127.0.0.1", asking.mail.port, "client.example") as client:
        client.ehlo()
        for command in (MAIL, ALICE, UNKNOWN_TRAP):
            client.docmd(command)
        _, text = client.docmd("DATA")
    reference = text.decode().rpartition("[")[2].rstrip("]")
    log = asking.gatepost.folder / "log"
    line = eventually(
        lambda: re.search(
            rf".*{re.escape(reference)}.*trap hit.*|.*{re.escape(reference)}.*refused.*",
            log.read_text(),
        )
    )
    assert '"helo":"client.example"' in line[0]


def test_postfix_defers_while_gatepost_is_away_and_goes_on_when_it_is_back(tmp_path):
    if reason := postfix.why_not():
        pytest.skip(reason)
    with serving(tmp_path, LISTEN) as server:
        port = policy_port(server)
        main = {
            "virtual_mailbox_maps": USERS,
            "smtpd_policy_service_try_limit": "1",
            "smtpd_policy_service_retry_delay": "1s",
            **main_cf(port),
        }
        with postfix.running(main) as mail:
            asking = Asking(mail, server)
            assert codes(asking.send(MAIL, ALICE))[1] == "250 2.1.5"
            server.stop()
            assert codes(asking.send(MAIL, ALICE))[1] == "451 4.3.5"
            config = server.folder / "gatepost.toml"
            text = config.read_text()
            config.write_text(
                text.replace(LISTEN, LISTEN.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
            )
            server.start()
            assert codes(asking.send(MAIL, ALICE, UNKNOWN_TRAP, "DATA"))[3] == "554 5.7.1"
