"""Which rows of a query for several keys belong to which key.

A row has the keys that it is about. Servers compare texts by rules of their own: without regard to
case or accents, for example. So the key of a row can be none of those that were asked. In this case
each key without a row is asked alone: then all rows are about it, and the server decides what is
equal. A table whose rows do not contain the key is therefore slower, but its answers are correct.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from gatepost.tables.table import Found

# Between the values of a key with several rows.
SEPARATOR: Final = ", "


class Row(NamedTuple):
    """The keys that a row is about, and its value."""

    keys: Sequence[str]
    value: str


async def find_rows(
    keys: Sequence[str], query: Callable[[Sequence[str]], Awaitable[Sequence[Row]]]
) -> Found:
    """Return the keys that have rows, with the values joined."""
    rows = await query(keys)
    if len(keys) == 1:
        return _joined({keys[0]: [row.value for row in rows]})
    values, is_complete = _by_key(keys, rows)
    if not is_complete:
        for key in [key for key, found in values.items() if not found]:
            values[key] = [row.value for row in await query([key])]
    return _joined(values)


def _by_key(keys: Sequence[str], rows: Iterable[Row]) -> tuple[dict[str, list[str]], bool]:
    """Return the values of each key, and whether it is certain that a key has no more.

    A key in another letter case is the same one, unless both are among the keys.
    """
    values: dict[str, list[str]] = {key: [] for key in keys}
    spellings = {key.casefold(): key for key in values}
    is_complete = len(spellings) == len(values)
    for row in rows:
        about = (one if one in values else spellings.get(one.casefold()) for one in row.keys)
        found = {key for key in about if key is not None}
        is_complete = is_complete and bool(found)
        for key in found:
            values[key].append(row.value)
    return values, is_complete


def _joined(values: dict[str, list[str]]) -> Found:
    return {key: SEPARATOR.join(filter(None, found)) for key, found in values.items() if found}
