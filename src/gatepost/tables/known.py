"""Recipients in tables: `recipients.known = ["sql:users"]`.

The tables are asked in their order until one has a recipient. A table that fails does not hide a
recipient that another one has. If none has it and one has failed, the answer is the failure: a
recipient is refused as unknown only if every table has answered.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence

from gatepost.config.formats import is_table
from gatepost.config.problem import Problem
from gatepost.config.schema import Config
from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import Found, Table, TableError
from gatepost.tables.tables import Tables


def keys_of(key: str, user_key: str) -> list[str]:
    """Return the keys of a recipient: with its subaddress, without it, and of its domain.

    `key` is the canonical address, `user_key` the address without its subaddress.
    """
    domain = key[key.rfind("@") :]
    return [key, domain] if user_key == key else [key, user_key, domain]


class KnownTables:
    """The tables with the recipients that exist."""

    def __init__(self, tables: Sequence[Table] = ()) -> None:
        self._tables = tables

    def __bool__(self) -> bool:
        return bool(self._tables)

    def find(self, keys: Sequence[str]) -> str | Awaitable[str]:
        """Return the first of the keys that a table has, "" if none has one, or an awaitable.

        Raises `TableError`; the awaitable does too.
        """
        failure: TableError | None = None
        for at, table in enumerate(self._tables):
            try:
                found = table.find(keys)
            except TableError as error:
                failure = failure or error
                continue
            if not isinstance(found, Mapping):
                return self._find_later(keys, found, at + 1, failure)
            if found:
                return _first(keys, found)
        if failure is not None:
            raise failure
        return ""

    async def _find_later(
        self,
        keys: Sequence[str],
        pending: Awaitable[Found],
        following: int,
        failure: TableError | None,
    ) -> str:
        """Wait for a table, then ask those after it."""
        try:
            found = await pending
        except TableError as error:
            failure, found = failure or error, {}
        if found:
            return _first(keys, found)
        more = KnownTables(self._tables[following:]).find(keys)
        key = more if isinstance(more, str) else await more
        if failure is not None and not key:
            raise failure
        return key

    async def select(self, keys: Collection[str]) -> set[str]:
        """Return those of the keys that a table has; raises `TableError` if one cannot answer."""
        asked = sorted(keys)
        return {key for table in self._tables for key in await table.ask(asked)}


def _first(keys: Sequence[str], found: Found) -> str:
    return next(key for key in keys if key in found)


def open_known_tables(config: Config, tables: Tables) -> tuple[KnownTables, list[Problem]]:
    """Return the tables of `recipients.known`, and the problems of those that cannot be opened."""
    opened, problems = [], []
    for number, spec in enumerate(config.recipients.known):
        if not is_table(spec):
            continue
        try:
            opened.append(tables.open(spec))
        except TableSpecError as error:
            key = f"recipients.known[{number}]"
            problems.append(Problem(config.source, key, str(error)))
    return KnownTables(opened), problems
