"""Messages whose sender a plugin has changed, in the queue."""

import pytest
from tests.queue.fakes import LOCAL, REFUSED, Target, message, recipient, run, transaction

from gatepost.model.actions import Actions
from gatepost.model.address import Address
from gatepost.model.facts import set_fact
from gatepost.model.session import Sender

SRS = Address.parse("SRS0=x@srs.example")


class Kept(Target):
    """Keeps the sender of each delivery by recipient."""

    def __init__(self, answers=None):
        super().__init__(answers)
        self.senders = {}

    async def deliver(self, delivery):
        for one in delivery.recipients:
            self.senders[str(one.address)] = str(delivery.transaction.reverse_path)
        return await super().deliver(delivery)


def changed(sender, *addresses, **params):
    """Return a transaction whose first recipient has this sender."""
    tx = transaction(peer=LOCAL)
    people = [recipient(one, **params) for one in addresses]
    actions = Actions(None, each=False)
    actions.has_senders = True
    set_fact(tx, "acting", actions)
    set_fact(people[0], "sender", sender)
    return tx, people


def test_each_recipient_is_delivered_with_its_sender(tmp_path):
    target = Kept()

    async def scenario(bench):
        tx, people = changed(Sender(SRS), "a@one.example", "b@one.example")
        await bench.queue.put(tx, people, message())
        await bench.run_until_idle()
        assert target.senders == {
            "a@one.example": str(SRS),
            "b@one.example": "sender@example.net",
        }

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(
    ("gets_dsns", "expected"), [(True, str(SRS)), (False, "sender@example.net")]
)
def test_the_new_sender_gets_the_dsns_unless_the_plugin_has_declined(tmp_path, gets_dsns, expected):
    target = Kept({"one.example": REFUSED})

    async def scenario(bench):
        tx, people = changed(Sender(SRS, gets_dsns), "a@one.example")
        await bench.queue.put(tx, people, message())
        await bench.run_until_idle()
        assert target.senders == {"a@one.example": str(SRS), expected: ""}
        tx, people = changed(Sender(SRS, gets_dsns), "c@two.example", NOTIFY="SUCCESS")
        await bench.queue.report_successes(tx, message(), {people[0]: "delivered"})
        await bench.run_until_idle()
        assert [to for _, to, _ in target.delivered] == [[expected], [expected]]

    run(tmp_path, scenario, target)
