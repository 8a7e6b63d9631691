"""Reasons against arming a trap: who exists, what it looks like, which mail it received."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from gatepost.checks.known import known_recipients
from gatepost.config.schema import Config
from gatepost.ledger.lookup import Reader
from gatepost.ledger.privacy import recorded_form
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Key, Selection
from gatepost.registry.objections import near, objections

# Messages to an address that are read to find out whether it receives good mail.
LOOKED_AT = 200
DAYS = 30

# Opens the ledger.
Ledger = Callable[[], AbstractContextManager[Reader]]


def found_objections(config: Config, entry: str, now: float, ledger: Ledger) -> list[str]:
    """Return what speaks against arming an entry in canonical form.

    `ledger` is opened if the server has one. Raises `ListError`, OSError, `KnownError`, and what
    the ledger raises. Blocks.
    """
    known = known_recipients(config, {entry, *near(entry)})
    return [*objections(entry, known), *_good_mail(config, entry, now, ledger)]


def _good_mail(config: Config, entry: str, now: float, ledger: Ledger) -> Iterator[str]:
    """Yield an objection if mail to an address was accepted in the last DAYS days."""
    folder = config.data_dir / "ledger"
    if entry[0] == "@" or not folder.is_dir():
        return
    hidden = recorded_form(folder, hidden="addresses" in config.ledger.privacy)
    key = Key("address", hidden(entry))
    chosen = Selection(since=now - DAYS * 86400, keys=[key], results=["accepted"])
    with ledger() as reader:
        found = [
            one for one in reader.select(chosen, limit=LOOKED_AT) if isinstance(one, Transaction)
        ]
    received = [one for one in found if _received(one, key.value)]
    if received:
        yield f"{len(received)} messages to it were accepted in the last {DAYS} days"


def _received(message: Transaction, address: str) -> bool:
    return not message.traps and any(
        one.address.lower() == address and one.result == "accepted" for one in message.recipients
    )
