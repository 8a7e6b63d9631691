"""Looks up what `gatepost explain` was asked for: a text becomes stories."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from gatepost.ledger.records import Connection, Record
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.words.search import is_indexed, search_keys
from gatepost.ledger.words.story import Story, stories, story_of

# Records that are read for one story: its connection, its transaction, its deliveries.
PER_STORY = 5
# The transactions of a connection, and the deliveries of a message.
MOST = 1000


class Reader(Protocol):
    """The queries of `gatepost.ledger.store.LedgerReader` that a look-up needs."""

    def find(self, key: Key, limit: int = 100) -> list[Record]:
        """Return the records that have a key, the newest first."""
        ...

    def select(self, selection: Selection, *, limit: int | None = None) -> Iterator[Record]:
        """Yield the records of a selection, the newest first."""
        ...


def look_up(
    reader: Reader, text: str, limit: int, recorded: Callable[[str], str] = str
) -> list[Story]:
    """Return what a text names, the newest first, at most `limit` stories.

    `recorded` returns an address as records have it. A story that is the only one is complete.
    Raises `SearchError` for a text that names nothing.
    """
    for key in _forms(search_keys(text), recorded):
        found = _named(reader, key, limit)
        if len(found) == 1:
            return [complete(reader, found[0])]
        if found:
            return found[:limit]
    return []


def _forms(keys: Sequence[Key], recorded: Callable[[str], str]) -> Iterator[Key]:
    """Yield the keys; an address also as records have it."""
    for key in keys:
        if key.kind == "address" and (found := recorded(key.value)) != key.value:
            yield Key("address", found)
        yield key


def complete(reader: Reader, story: Story) -> Story:
    """Return a story with all its records, also those that the search did not find."""
    records = reader.find(Key("ref", story.ref), MOST)
    whole = story_of(story.ref, records) or story
    if whole.transaction is not None and whole.connection is None:
        session = reader.find(Key("ref", whole.transaction.session), MOST)
        whole = story_of(story.ref, [*records, *_connections(session)]) or whole
    return whole


def _connections(records: Sequence[Record]) -> list[Record]:
    return [one for one in records if type(one) is Connection]


def _named(reader: Reader, key: Key, limit: int) -> list[Story]:
    if key.kind == "ref":
        story = story_of(key.value, reader.find(key, MOST))
        return [] if story is None else [story]
    most = PER_STORY * (limit + 1)
    if key.kind == "network" and not is_indexed(key.value):
        return stories(reader.select(Selection(client=key.value), limit=most))
    return stories(reader.find(key, most))
