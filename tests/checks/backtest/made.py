"""Transactions for tests of the back-test."""

from gatepost.importers.transaction import Ending, Status, Transaction, Verdict
from gatepost.traps.memory import DAY

START = 1_700_000_000.0
UNKNOWN_USER = "550 5.1.1 User unknown"


def mail(
    day=0.0,
    client="192.0.2.1",
    sender="jo@example.org",
    accepted=("ann@example.com",),
    unknown=(),
    *,
    relayed=(),
    ending=None,
    **fields,
):
    """Return a transaction from outside, accepted if a recipient was."""
    found = Transaction(START + day * DAY, client=client, sender=sender, **fields)
    found.add_all(accepted, Status.ACCEPTED)
    found.add_all(unknown, Status.UNKNOWN, UNKNOWN_USER)
    found.add_all(relayed, Status.REFUSED, "554 5.7.1 Relay access denied")
    return found.end(found.time, ending or (Ending.ACCEPTED if accepted else Ending.REFUSED))


def attack(day=0.0, count=10, client="203.0.113.1", **fields):
    """Return a dictionary attack."""
    names = [f"name{number}@example.com" for number in range(count)]
    return mail(day, client, "x@spam.example", accepted=(), unknown=names, **fields)


def spam(day=0.0, client="203.0.113.9", sender="y@spam.example", **fields):
    """Return a message from the network of `attack`."""
    return mail(day, client, sender, **({"verdict": Verdict.CLEAN} | fields))


def sent(day=0.0, to="jo@example.org"):
    """Return a message of our own user."""
    return mail(day, "10.0.0.1", "ann@example.com", accepted=(to,), user="ann")
