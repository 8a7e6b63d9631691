"""Who may be told what became of a message."""

import pytest
from tests.queue.fakes import LOCAL, STRANGER, transaction

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts
from gatepost.queue.dsn.notify import may_be_told
from gatepost.queue.spool.records import message_facts

AUTH = AuthFacts("alice", "PLAIN")


@pytest.mark.parametrize(
    ("told", "session"),
    [
        (False, {"peer": STRANGER}),
        (True, {"peer": STRANGER, "auth": AUTH}),
        (True, {"peer": STRANGER, "auth": AUTH, "via": Endpoint("127.0.0.1")}),
        (True, {"peer": LOCAL}),
        (True, {"peer": Endpoint("127.9.9.9", 1)}),
        (True, {"peer": Endpoint("::1", 1)}),
        (True, {"peer": Endpoint("local")}),
        (False, {"peer": LOCAL, "via": LOCAL}),
        (False, {"peer": LOCAL, "xclient": {}}),
        (False, {"peer": LOCAL, "sender": ""}),
        (False, {"peer": STRANGER, "auth": AUTH, "sender": ""}),
        (False, {"peer": Endpoint("10.0.0.1", 0)}),
    ],
)
def test_only_those_somebody_vouches_for(told, session):
    assert may_be_told(message_facts(transaction(**session))) is told
