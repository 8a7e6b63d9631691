"""Tables for commands: keys are looked up as the server does, without one."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from gatepost.cli.shared.output import Failure, WrongUsage
from gatepost.config.schema import Config
from gatepost.plugin.clock import SystemClock
from gatepost.tables.spec import TableSpecError
from gatepost.tables.table import Found, TableError
from gatepost.tables.tables import Tables

_T = TypeVar("_T")


def ask(config: Config, spec: str, keys: Sequence[str]) -> Found:
    """Return the keys that a table has, with their values.

    Raises `WrongUsage` for a wrong specification, `Failure` if the table cannot answer.
    """
    tables = Tables(config, SystemClock())
    try:
        table = tables.open(spec)
    except TableSpecError as error:
        raise WrongUsage(str(error)) from error
    return _run(tables, table.ask(keys))


def _run(tables: Tables, work: Coroutine[Any, Any, _T]) -> _T:
    async def run() -> _T:
        try:
            return await work
        finally:
            await tables.stop()

    try:
        return asyncio.run(run())
    except TableError as error:
        raise Failure(str(error)) from error
