"""Selections for a text that is searched for, as `gatepost explain` understands it."""

from collections.abc import Collection, Iterator, Sequence
from typing import get_args

import msgspec

from gatepost.ledger.selection import Key, KeyKind, Selection
from gatepost.ledger.words.search import is_indexed, search_keys
from gatepost.web.filters import Filters
from gatepost.web.source import Source

ALL: Collection[KeyKind] = get_args(KeyKind)


def selections(
    source: Source, filters: Filters, kinds: Collection[KeyKind] = ALL
) -> Iterator[Selection]:
    """Yield the selections to try: a text can be searched for in several forms.

    `kinds` are the kinds of keys that are searched for. Raises `SearchError`.
    """
    if not filters.q:
        yield filters.selection(source.recorded)
        return
    for key in search_keys(filters.q):
        if key.kind in kinds:
            yield from _with_key(source, filters, key)


def _with_key(source: Source, filters: Filters, key: Key) -> Iterator[Selection]:
    if key.kind == "network" and not is_indexed(key.value):
        selection = filters.selection(source.recorded)
        yield msgspec.structs.replace(selection, client=key.value)
        return
    keys: Sequence[Key] = [key]
    if key.kind == "address":
        keys = [
            Key("address", one) for one in dict.fromkeys([source.recorded(key.value), key.value])
        ]
    for one in keys:
        yield filters.selection(source.recorded, [one])
