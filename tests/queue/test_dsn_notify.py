"""Only trusted senders get DSNs."""

import pytest
from tests.queue.fakes import LOCAL, UNTRUSTED, transaction

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts
from gatepost.queue.dsn.notify import may_notify
from gatepost.queue.spool.records import message_facts

AUTH = AuthFacts("alice", "PLAIN")


@pytest.mark.parametrize(
    ("expected", "session"),
    [
        (False, {"peer": UNTRUSTED}),
        (True, {"peer": UNTRUSTED, "auth": AUTH}),
        (True, {"peer": UNTRUSTED, "auth": AUTH, "via": Endpoint("127.0.0.1")}),
        (True, {"peer": LOCAL}),
        (True, {"peer": Endpoint("127.9.9.9", 1)}),
        (True, {"peer": Endpoint("::1", 1)}),
        (True, {"peer": Endpoint("local")}),
        (False, {"peer": LOCAL, "via": LOCAL}),
        (False, {"peer": LOCAL, "xclient": {}}),
        (False, {"peer": LOCAL, "sender": ""}),
        (False, {"peer": UNTRUSTED, "auth": AUTH, "sender": ""}),
        (False, {"peer": Endpoint("10.0.0.1", 0)}),
    ],
)
def test_only_trusted_senders_get_a_dsn(expected, session):
    assert may_notify(message_facts(transaction(**session))) is expected
