"""Every configured table, started and asked for a key by `gatepost check`.

What a file lacks is an error. A server may only be down for the moment, so its problem is a
warning.
"""

import asyncio

import msgspec

from gatepost.tables.table import Table, TableError
from gatepost.tables.tables import Tables


class TableProblems(msgspec.Struct):
    """The problems of all tables."""

    errors: list[str] = []
    warnings: list[str] = []


def find_problems(tables: Tables, key: str) -> TableProblems:
    """Start each table, ask for a key, and stop it; return the problems."""
    found = TableProblems()
    asyncio.run(_ask_all(tables, key, found))
    return found


async def _ask_all(tables: Tables, key: str, found: TableProblems) -> None:
    await asyncio.gather(*(_ask(one, key, found) for one in tables))
    await tables.stop()


async def _ask(table: Table, key: str, found: TableProblems) -> None:
    try:
        await table.start()
    except TableError as error:
        found.errors.append(str(error))
        return
    try:
        await table.ask([key])
    except TableError as error:
        found.warnings.append(str(error))
