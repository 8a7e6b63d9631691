"""Senders that plugins set for the delivery: for all recipients, or for some of them."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.delivery.samples import delivery, recipient
from tests.session.dialogue import config, plugin
from tests.session.test_recipients import ONE, TWO, changes, talk

from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Target
from gatepost.model.actions import Actions
from gatepost.model.facts import set_fact
from gatepost.model.reply import Reply
from gatepost.session import assemble
from gatepost.session.assemble import find_lists, make_setup
from gatepost.session.dialect import DIALECTS
from gatepost.testing import play

NEW = "new@example.com"


def senders_of(played):
    [message] = played.messages
    return message.senders


def test_a_sender_for_all_counts_for_later_recipients_too():
    def on_mail(tx, _sender):
        tx.change_sender(NEW)

    def on_message(tx):
        assert str(tx.reverse_path) == "a@client.example"
        assert {str(tx.sender_of(one)) for one in tx.recipients} == {NEW}
        tx.add_recipient("copy@example.com")

    played, lines = talk(
        "smtp", [ONE, TWO], ["250"], plugin(on_mail=on_mail, on_message=on_message)
    )
    assert senders_of(played) == {ONE: NEW, TWO: NEW, "copy@example.com": NEW}
    [changed] = changes(lines)
    assert changed[0] == f"sender <{NEW}> (test)"


def test_a_sender_for_a_recipient_goes_with_those_that_replace_it():
    def on_rcpt(tx, rcpt):
        if rcpt.user == "one":
            tx.change_sender(NEW, [rcpt])

    def on_data(tx):
        tx.replace_recipient(tx.recipients[0], ["a@example.com", "b@example.com"])
        tx.change_sender("other@example.com", [tx.recipients[1]])
        assert str(tx.sender_of(tx.recipients[0])) == "a@client.example"

    played, lines = talk("smtp", [ONE, TWO], ["250"], plugin(on_rcpt=on_rcpt, on_data=on_data))
    assert senders_of(played) == {"a@example.com": "other@example.com", "b@example.com": NEW}
    [changed] = changes(lines)
    assert changed[0] == f"sender <{NEW}> for {ONE} (test)"


def test_one_for_a_recipient_comes_before_one_for_all():
    def on_message(tx):
        tx.change_sender(NEW, tx.recipients[:1])
        tx.change_sender("")
        tx.change_sender("unused@example.com", [])

    played, _ = talk("smtp", [ONE, TWO], ["250"], plugin(on_message=on_message))
    assert senders_of(played) == {ONE: NEW, TWO: ""}


def test_a_plugin_in_shadow_mode_changes_no_sender():
    shadowed = plugin(on_message=lambda tx: tx.change_sender(NEW))
    set_fact(shadowed, "shadow", True)
    played, lines = talk("smtp", [ONE], ["250"], shadowed)
    assert senders_of(played) == {}
    assert changes(lines) == [[f"not sender <{NEW}> (test)"]]


@pytest.mark.parametrize(
    ("address", "sender", "expected"),
    [
        ("no address", "a@client.example", "expected local-part@domain"),
        ("postmäster@example.com", "a@client.example", "SMTPUTF8"),
        (NEW, "", "null reverse-path"),
    ],
)
def test_a_sender_that_is_not_possible_is_an_error(address, sender, expected):
    def on_rcpt(tx, _rcpt):
        with pytest.raises(ValueError, match=expected):
            tx.change_sender(address)

    played = play(
        f"S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<{sender}>\nS: 250\nC: RCPT TO:<{ONE}>\nS: 250",
        [plugin(on_rcpt=on_rcpt)],
    )
    assert played.decisions == []


class Kept(Target):
    """Keeps the sender and the recipients of each delivery."""

    can_verify = True

    def __init__(self):
        self.taken, self.asked = [], []

    def deliver(self, delivery):
        to = [one.user for one in delivery.recipients]
        self.taken.append((str(delivery.transaction.reverse_path), to))

    async def verify(self, tx, rcpt):
        self.asked.append((str(tx.reverse_path), rcpt.user))


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_each_sender_is_a_delivery_of_its_own(protocol):
    target = Kept()

    async def main():
        setup = make_setup(config(), find_lists(config()))
        setup.router = Router([(["*"], Route(target, "kept:"))], hostname="mx.example.com")
        made = delivery(*(recipient(f"{name}@example.com") for name in "abc"))
        tx, people = made.transaction, made.recipients
        set_fact(tx, "recipients", people)
        set_fact(tx, "message", made.message)
        set_fact(tx, "acting", Actions(setup.destinations, each=protocol == "lmtp"))
        tx.change_sender(NEW, [people[0], people[2]])
        result = DIALECTS[protocol].hand_over(setup, tx)
        return result if isinstance(result, Reply) else await result

    with capture_logs():
        assert asyncio.run(main()).code == 250
    assert [to for _, to in target.taken] == [["a", "c"], ["b"]]
    assert [sender == NEW for sender, _ in target.taken] == [True, False]


def test_the_next_hop_is_asked_with_the_sender_that_it_will_get(monkeypatch):
    """It is not asked about a recipient that a plugin has replaced."""
    target = Kept()
    router = Router([(["*"], Route(target, "kept:"))], hostname="mx.example.com")
    monkeypatch.setattr(assemble, "make_router", lambda *_args, **_options: router)

    def on_rcpt(tx, rcpt):
        tx.change_sender(NEW, [rcpt])
        if rcpt.user == "two":
            tx.replace_recipient(rcpt, ["three@example.com"])

    talk("smtp", [ONE, TWO], ["250"], plugin(on_rcpt=on_rcpt))
    assert target.asked == [(NEW, "one")]
