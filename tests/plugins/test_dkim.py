"""DKIM signatures of messages."""

import pytest
from tests.plugins.signing import message, record, transcript

from gatepost import Plugin
from gatepost.plugins.dkim import Dkim
from gatepost.testing import FakeResolver, play

KEY = {"s1._domainkey.client.example": record(), "s1._domainkey.other.example": record()}
DNS = FakeResolver(txt=KEY)
DEAD = FakeResolver(fail=["s1._domainkey.client.example"])


class Seen(Plugin):
    """Keeps the results of a message."""

    after = frozenset({"dkim"})

    def on_message(self, tx):
        self.found = [(one.value, one.facts.get("domain"), one.score) for one in tx.results]


def results(content, dkim=None, resolver=DNS, end="S: 250"):
    seen = Seen()
    play(transcript(content, end=end), [dkim or Dkim(), seen], resolver=resolver)
    return seen.found


def test_a_signature_passes():
    assert results(message()) == [("pass", "client.example", 0.0)]


def test_a_changed_body_fails():
    changed = message().replace(b"Hello.", b"Hello!")
    assert results(changed) == [("fail", "client.example", 0.0)]


def test_a_long_body_is_hashed_while_it_arrives():
    body = b"".join(b"line %d\r\n" % number for number in range(30_000))
    assert results(message(body=body)) == [("pass", "client.example", 0.0)]


def test_a_message_without_a_signature_has_the_result_none():
    assert results(message(signer="")) == [("none", None, 0.0)]


def test_a_dead_name_server_is_a_temporary_error():
    assert results(message(), resolver=DEAD) == [("temperror", "client.example", 0.0)]


@pytest.mark.parametrize(("signer", "points"), [("client.example", -2.0), ("other.example", 0.0)])
def test_a_signature_of_the_author_counts_for_the_message(signer, points):
    assert results(message(signer=signer), Dkim(aligned=-2)) == [("pass", signer, points)]


def test_the_field_of_the_server_has_the_result():
    (received,) = play(transcript(message()), [Dkim()], resolver=DNS).messages
    field = received.content.partition(b"Authentication-Results:")[2].partition(b"\r\nFrom")[0]
    assert b"dkim=pass" in field
    assert b"header.d=client.example header.s=s1" in field


def test_mail_without_a_signature_can_be_refused():
    end = "S: 554 5.7.20 DKIM: the message has no signature*"
    play(transcript(message(signer=""), end=end), [Dkim(none="deny")], resolver=DNS)


def test_mail_can_be_deferred_while_keys_cannot_be_looked_up():
    end = "S: 451 4.7.20 DKIM: no signature can be verified now*"
    play(transcript(message(), end=end), [Dkim(temperror="defer")], resolver=DEAD)
