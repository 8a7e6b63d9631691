"""`sql:NAME`: a table in an SQL database, by a query of `[sql.NAME]`.

A query gets all keys as one bound parameter that expands to a list (`IN :keys`). No key is ever
part of the SQL text. The first column is the key, the second the value. Several rows of a key are
joined.

The number of keys is filled up to a power of two by repeating one, so that a driver that prepares
statements has few of them. A connection that the server has closed meanwhile, for example by a
restart, is replaced, and the query is sent once more. A query that is given up ends at once for its
caller; its connection is closed meanwhile.

Trust: the query is the administrator's. Limits: two connections, MOST_ROWS rows of a query.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote as quote_path

from sqlalchemy import URL, Result, bindparam, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gatepost.config.secret_file import read_secret
from gatepost.config.tables import SqlConfig
from gatepost.tables.remote import RemoteTable, describe
from gatepost.tables.rows import Row, find_rows
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found, TableError

MOST_ROWS: Final = 10_000
# Seconds until a connection that cannot be closed is given up.
CLOSING: Final = 1.0
# Seconds: firewalls drop connections that were idle for longer.
_MAX_AGE: Final = 300
_PARAMETER: Final = "keys"
_EXPECTED: Final = re.compile(r"\bIN\s+:keys\b", re.IGNORECASE)

# An outage is one line in the log of this server, not one for each connection that is closed.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


class SqlTable(RemoteTable):
    """A query of a database."""

    failures = (Exception,)  # drivers raise errors of their own while they connect

    def __init__(self, spec: TableSpec) -> None:
        options: SqlConfig = spec.options
        super().__init__(spec.name, options.timeout)
        self._query = _query(options.query)
        self._ending: set[asyncio.Task[Sequence[Row]]] = set()
        self._engine = _engine(_url(options, spec.base), options.timeout)

    async def _look_up(self, keys: Sequence[str]) -> Found:
        try:
            return await find_rows(keys, self._rows)
        except DBAPIError as error:  # its own text has the whole query
            raise TableError(self.name, describe(error.orig or error)) from error

    async def _rows(self, keys: Sequence[str]) -> Sequence[Row]:
        parameters = {_PARAMETER: _padded(keys)}
        try:
            return await self._execute(parameters)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._execute(parameters)

    async def _execute(self, parameters: dict[str, Any]) -> Sequence[Row]:
        work = asyncio.create_task(self._query_once(parameters))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:  # a driver can need seconds to close a connection
            work.cancel()
            self._ending.add(work)
            work.add_done_callback(self._ended)
            raise

    def _ended(self, work: "asyncio.Task[Sequence[Row]]") -> None:
        self._ending.discard(work)
        if not work.cancelled():
            work.exception()  # mark it as retrieved

    async def _query_once(self, parameters: dict[str, Any]) -> Sequence[Row]:
        async with self._engine.connect() as connection:
            return _read(await connection.execute(self._query, parameters))

    async def stop(self) -> None:
        """See `Table.stop`; a server that hangs delays it for CLOSING seconds at most."""
        closing = asyncio.create_task(self._engine.dispose())
        await asyncio.wait([closing, *self._ending], timeout=CLOSING)
        closing.cancel()


def _padded(keys: Sequence[str]) -> list[str]:
    size = 1 << (len(keys) - 1).bit_length()
    return [*keys, *[keys[-1]] * (size - len(keys))]


def _read(result: Result[Any]) -> list[Row]:
    rows = result.fetchmany(MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        raise ValueError(f"expected at most {MOST_ROWS} rows")
    return [_row(*row) for row in rows]


def _row(key: object, value: object = None, *_: object) -> Row:
    return Row([str(key)], "" if value is None else str(value))


def _query(query: str) -> Any:
    statement = text(query)
    if not _EXPECTED.search(query) or set(statement.compile().params) != {_PARAMETER}:
        raise ValueError(r"query: expected IN :keys and no other parameter; write \: for a colon")
    return statement.bindparams(bindparam(_PARAMETER, expanding=True))


def _url(options: SqlConfig, base: Path) -> URL:
    """Return the URL with the password, an SQLite file opened for reading; raises ValueError."""
    try:
        url = make_url(options.url)
    except (ArgumentError, ValueError):  # their text can have the password
        raise ValueError("expected a URL such as postgresql+asyncpg://USER@HOST/DATABASE") from None
    if options.password_file:
        url = url.set(password=read_secret(base / options.password_file, "password"))
    if url.get_backend_name() == "sqlite" and url.database:
        path = quote_path(str((base / url.database).absolute()))
        url = url.set(database=f"file:{path}").update_query_dict({"mode": "ro", "uri": "true"})
    return url


def _engine(url: URL, timeout: float) -> AsyncEngine:
    try:
        return create_async_engine(
            url,
            pool_size=1,
            max_overflow=1,
            pool_timeout=timeout,
            pool_recycle=_MAX_AGE,
            isolation_level="AUTOCOMMIT",  # a query needs no transaction of its own
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the driver {error.name} is not installed: pip install {error.name}"
        ) from error
    except (ArgumentError, InvalidRequestError) as error:
        problem = describe(error)
        raise ValueError(f"expected a driver for asyncio, such as asyncpg: {problem}") from error
