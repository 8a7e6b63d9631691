"""The records of one message or connection, collected from what a search has found."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from gatepost.ledger.records import Connection, Delivery, Record, Result, Transaction


class Story(msgspec.Struct):
    """A transaction with its connection and its deliveries, or a connection without transaction.

    `deliveries` are in the order of time. A part can be missing: it was not found, or its time has
    passed. `others` are more transactions of the same connection.
    """

    ref: str
    transaction: Transaction | None = None
    connection: Connection | None = None
    deliveries: list[Delivery] = []
    others: list[Transaction] = []

    @property
    def records(self) -> list[Record]:
        """Its records, the connection first."""
        found = [self.connection, self.transaction, *self.deliveries, *self.others]
        return [one for one in found if one is not None]

    @property
    def main(self) -> Record:
        """The record that stands for the others in a list."""
        if self.transaction is not None:
            return self.transaction
        return self.records[-1] if self.connection is None else self.connection


_Found: TypeAlias = dict[str, Story]


def outcome(transaction: Transaction) -> Result:
    """Return the result of a transaction for a person.

    A client that gives up after the refusal of every recipient was refused, or deferred if one of
    the refusals was temporary.
    """
    results = {one.result for one in transaction.recipients}
    if transaction.result != "abandoned" or not results or results - {"refused", "deferred"}:
        return transaction.result
    return "deferred" if "deferred" in results else "refused"


def stories(records: Iterable[Record]) -> list[Story]:
    """Return the stories of some records, in the order of the first record of each.

    A connection with transactions has no story of its own: it belongs to theirs. A MAIL that was
    refused has the reference of its connection, and further ones are its `others`.
    """
    found: _Found = {}
    connections: dict[str, Connection] = {}
    for record in records:
        if isinstance(record, Connection):
            connections[record.ref] = record
            if not record.transactions:
                _of(found, record.ref).connection = record
        elif isinstance(record, Transaction):
            _add(_of(found, record.ref), record)
        elif isinstance(record, Delivery):
            _of(found, record.ref).deliveries.append(record)
    for story in found.values():
        story.deliveries.sort(key=lambda one: one.time)
        if story.transaction is not None:
            story.connection = connections.get(story.transaction.session)
    return list(found.values())


def story_of(ref: str, records: Iterable[Record]) -> Story | None:
    """Return the story of a reference, None without a record of it.

    The reference of a connection with one transaction stands for that transaction.
    """
    known = list(records)
    found = {story.ref: story for story in stories(known)}
    others = [one for one in known if isinstance(one, Transaction) and one.session == ref]
    if len(others) == 1:
        return found[others[0].ref]
    if not others:
        return found.get(ref) or _of_connection(ref, known)
    others.sort(key=lambda one: one.time)
    return Story(ref, connection=_connection(ref, known), others=others)


def _of_connection(ref: str, records: Iterable[Record]) -> Story | None:
    connection = _connection(ref, records)
    return None if connection is None else Story(ref, connection=connection)


def _connection(ref: str, records: Iterable[Record]) -> Connection | None:
    found = (one for one in records if isinstance(one, Connection) and one.ref == ref)
    return next(found, None)


def _add(story: Story, transaction: Transaction) -> None:
    if story.transaction is None:
        story.transaction = transaction
    else:
        story.others.append(transaction)


def _of(found: _Found, ref: str) -> Story:
    return found.setdefault(ref, Story(ref))
