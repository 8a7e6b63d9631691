"""A table in memory for tests of plugins and of settings that name a table."""

from collections.abc import Mapping, Sequence

from gatepost.tables.table import Found, Table, TableError


class MemoryTable(Table):
    """A table with `rows`, which can change: `MemoryTable({"kim@example.com": "kim"})`.

    While `failure` is a text, each query fails with it. `queries` has the keys of each query; a
    key that is cached is not in it.
    """

    def __init__(self, rows: Mapping[str, str] = {}, name: str = "memory:test") -> None:
        super().__init__(name)
        self.rows = dict(rows)
        self.failure = ""
        self.queries: list[list[str]] = []

    def find(self, keys: Sequence[str]) -> Found:
        """See `Table.find`."""
        self.queries.append(list(keys))
        if self.failure:
            raise TableError(self.name, self.failure)
        return {key: self.rows[key] for key in keys if key in self.rows}
