"""The tables of one worker, opened by their specification, each once.

Tables are opened while the server starts: by the core for its settings, by plugins for their
options. `start` and `stop` are for all of them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gatepost.config.schema import Config
from gatepost.lists.reloadable import ReloadableFile
from gatepost.tables.cached import CachedTable, Clock
from gatepost.tables.registry import make_table
from gatepost.tables.table import Table


class Tables:
    """The open tables. `given` are used instead of those that the configuration describes."""

    def __init__(
        self, config: Config, clock: Clock, given: Mapping[str, Table] | None = None
    ) -> None:
        self._config = config
        self._clock = clock
        self._given = {} if given is None else given
        self._open: dict[str, Table] = {}

    def open(self, spec: str) -> Table:
        """Return the table of a specification, with a cache; raises `TableSpecError`.

        The same specification returns the same table. It has not started yet.
        """
        table = self._open.get(spec)
        if table is None:
            table = self._open[spec] = self._make(spec)
        return table

    def _make(self, spec: str) -> Table:
        table = self._given.get(spec) or make_table(spec, self._config)
        if table.is_local:
            return table
        return CachedTable(table, self._clock, self._config.recipients.lookup_cache)

    def __iter__(self) -> Iterator[Table]:
        return iter(self._open.values())

    @property
    def files(self) -> list[ReloadableFile[Any]]:
        """The files of all open tables, to be read again when they change."""
        return [file for table in self for file in table.files]

    async def start(self) -> None:
        """Start every open table; raises `TableError`."""
        for table in self:
            await table.start()

    async def stop(self) -> None:
        """Stop every open table."""
        for table in self:
            await table.stop()
