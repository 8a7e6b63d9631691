from datetime import UTC, datetime

import pytest

from gatepost.model.address import NULL_PATH, Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session, Transaction

SESSION = ("s1", Endpoint("192.0.2.1", 25), Endpoint("::1", 2525), 1_700_000_000.5)


def test_an_endpoint_is_written_with_its_port():
    assert str(Endpoint("192.0.2.1", 25)) == "192.0.2.1:25"
    assert str(Endpoint("2001:db8::1", 25)) == "[2001:db8::1]:25"
    assert str(Endpoint("unix")) == "unix:0"


def test_times_are_aware():
    session = Session(*SESSION)
    assert session.started_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)
    tx = Transaction("t1", session, NULL_PATH, {}, 1_700_000_000)
    assert tx.received_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert tx.received_at.tzinfo is not None


def test_notes_and_lists_are_not_shared():
    one, other = Session(*SESSION), Session(*SESSION)
    one.notes["a"] = 1
    assert other.notes == {}
    assert one != other
    first = Transaction("t1", one, NULL_PATH, {}, 0)
    second = Transaction("t2", one, NULL_PATH, {}, 0)
    first.recipients.append(Recipient(Address("a", "b"), {}))
    first.notes["a"] = 1
    assert (second.recipients, second.refused, second.trap_hits, second.notes) == ([], [], [], {})


@pytest.mark.parametrize(
    ("reply", "accepted"),
    [
        (None, False),
        (Reply(250, "ok"), True),
        (Reply(450, "later"), False),
        (Reply(550, "no"), False),
    ],
)
def test_a_recipient_is_accepted_by_a_2xx_reply(reply, accepted):
    assert Recipient(Address("a", "b"), {}, reply=reply).accepted is accepted
