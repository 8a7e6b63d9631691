"""The recipe for greylisting."""

import pytest
from examples.greylist import Greylist

from gatepost.plugin.base import Installed
from gatepost.store.errors import StoreError
from gatepost.testing import MemoryStore, play

DEFERRED = "450 4.7.1 greylisted, try again later"
OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
"""
MAIL = """
    C: MAIL FROM:<{sender}>
    S: 250
    C: RCPT TO:<{rcpt}@example.com>
    S: {reply}
    C: RSET
    S: 250
"""


def mail(reply, sender="a@client.example", rcpt="user"):
    return MAIL.format(reply=reply, sender=sender, rcpt=rcpt)


def test_a_retry_after_the_delay_is_accepted():
    play(
        f"{OPEN}{mail(DEFERRED)}T: 4m\n{mail(DEFERRED)}T: 1m\n{mail(250)}{mail(250)}", [Greylist()]
    )


def test_another_sender_or_recipient_is_another_pair():
    others = mail(DEFERRED, sender="") + mail(DEFERRED, rcpt="other")
    play(f"{OPEN}{mail(DEFERRED)}T: 5m\n{others}{mail(250)}", [Greylist()])


@pytest.mark.parametrize(
    ("first", "second", "reply"),
    [
        ("192.0.2.1", "192.0.2.254", 250),
        ("192.0.2.1", "198.51.100.1", DEFERRED),
        ("2001:db8::1", "2001:db8::ffff:1", 250),
        ("2001:db8::1", "2001:db8:0:1::1", DEFERRED),
    ],
)
def test_a_client_is_its_network(first, second, reply):
    store = MemoryStore()
    play(OPEN + mail(DEFERRED), [Greylist()], peer=(first, 1), store=store)
    retry = OPEN + mail(reply)
    play(retry, [Greylist()], peer=(second, 1), store=store, now="2024-01-01T00:05")


def test_a_pair_is_kept_while_it_is_used():
    used = "".join(f"T: 20d\n{mail(250)}" for _ in range(3))
    play(f"{OPEN}{mail(DEFERRED)}T: 5m\n{mail(250)}{used}T: 37d\n{mail(DEFERRED)}", [Greylist()])


def test_mail_passes_while_the_store_is_unavailable(monkeypatch):
    plugin = Greylist()

    async def get(_store, _key):
        raise StoreError("down")

    monkeypatch.setattr("gatepost.store.store.Store.get", get)
    play(OPEN + mail(250), [Installed(plugin, on_error="skip")])
