import re
from datetime import UTC, datetime

import pytest

from gatepost.model.address import NULL_PATH, Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import keep, set_fact
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
    for name in ("recipients", "refused", "trap_hits"):
        keep(first, name, "one")
        keep(first, name, "two")
        assert getattr(first, name) == ["one", "two"]
    first.notes["a"] = 1
    assert (second.recipients, second.refused, second.trap_hits, second.notes) == ([], [], [], {})


TX = Transaction("t1", Session(*SESSION), NULL_PATH, {}, 0)
RCPT = Recipient(Address("a", "b"), {})


@pytest.mark.parametrize(
    ("fact", "name", "hint"),
    [
        (TX, "message", "the methods of tx.message"),
        (TX, "recipients", "tx.add_recipient() or tx.replace_recipient()"),
        (TX, "reverse_path", "tx.change_sender()"),
        (TX, "id", "`notes` and `results`"),
        (TX.session, "auth", "on_auth"),
        (TX.session, "helo", "`notes` and `results`"),
        (RCPT, "address", "tx.replace_recipient()"),
        (RCPT, "route", "tx.choose_route()"),
        (RCPT, "reply", "on_rcpt"),
    ],
)
def test_plugins_cannot_assign_facts(fact, name, hint):
    found = getattr(fact, name)
    with pytest.raises(AttributeError, match=re.escape(hint)):
        setattr(fact, name, found)
    with pytest.raises(AttributeError, match="read-only"):
        delattr(fact, name)
    assert getattr(fact, name) is found
    set_fact(fact, name, found)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.append(RCPT),
        lambda found: found.extend([RCPT]),
        lambda found: found.remove(RCPT),
        lambda found: found.insert(0, RCPT),
        lambda found: found.pop(),
        lambda found: found.clear(),
        lambda found: found.sort(),
        lambda found: found.reverse(),
        lambda found: found.__setitem__(0, RCPT),
        lambda found: found.__delitem__(0),
        lambda found: found.__iadd__([RCPT]),
        lambda found: found.__imul__(2),
    ],
)
def test_plugins_cannot_change_lists(change):
    tx = Transaction("t1", Session(*SESSION), NULL_PATH, {}, 0)
    for _ in range(2):
        with pytest.raises(TypeError, match="use tx"):
            change(tx.recipients)
        keep(tx, "recipients", RCPT)
    assert tx.recipients == [RCPT, RCPT]


def test_recipients_of_no_session_cannot_be_changed():
    for act in (
        lambda: TX.add_recipient("a@example.com"),
        lambda: TX.replace_recipient(RCPT, ["a@example.com"]),
        lambda: TX.choose_route("junk"),
        lambda: TX.quarantine("no"),
    ):
        with pytest.raises(RuntimeError, match="from on_mail to on_deliver"):
            act()


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
