"""The types of tables by name: `TYPE:REST`, such as `lmdb:users` or `sql:users`.

The module of a type is imported when the first table of it is opened. A type with a `section` has
its options in the configuration: `sql:users` uses the table `[sql.users]`, which is
`Config.sql["users"]`.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from gatepost.config.problem import quote
from gatepost.config.schema import Config
from gatepost.tables.spec import TableSpec, TableSpecError
from gatepost.tables.table import Table


class TableType(msgspec.Struct, frozen=True):
    """A type: `rest` as in messages, the class as `MODULE:CLASS`, and what it needs.

    `section` is the name of its table in the configuration. `extra` installs the module `needs`.
    """

    rest: str
    implementation: str
    section: str = ""
    needs: str = ""
    extra: str = ""


# What follows the type of a table in a file.
PATH: Final = "PATH"

_TYPES = "gatepost.tables.types"

TYPES: Final[Mapping[str, TableType]] = {
    "file": TableType(PATH, f"{_TYPES}.list_file:ListTable"),
    "texthash": TableType(PATH, f"{_TYPES}.texthash:TexthashTable"),
    "aliases": TableType(PATH, f"{_TYPES}.aliases:AliasesTable"),
    "passwd": TableType(PATH, f"{_TYPES}.passwd:PasswdTable"),
    "qmail": TableType(PATH, f"{_TYPES}.qmail:QmailTable"),
    "cdb": TableType(PATH, f"{_TYPES}.cdb_file:CdbTable", needs="cdbx", extra="cdb"),
    "lmdb": TableType(PATH, f"{_TYPES}.lmdb_file:LmdbTable", needs="lmdb", extra="lmdb"),
    "sql": TableType("NAME", f"{_TYPES}.sql:SqlTable", "sql", "sqlalchemy", "sql"),
    "ldap": TableType("NAME", f"{_TYPES}.ldap:LdapTable", "ldap", "ldap3", "ldap"),
    "redis": TableType("NAME", f"{_TYPES}.redis:RedisTable", "redis", "redis", "redis"),
    "http": TableType("NAME", f"{_TYPES}.http:HttpTable", "http", "aiohttp", "http"),
    "dovecot": TableType("unix:PATH", f"{_TYPES}.dovecot:DovecotTable"),
    "socketmap": TableType("unix:PATH:MAP", f"{_TYPES}.socketmap:SocketmapTable"),
    "tcp": TableType("HOST:PORT", f"{_TYPES}.tcp:TcpServerTable"),
}


def make_table(spec: str, config: Config) -> Table:
    """Return the table of a specification, not started yet; raises `TableSpecError`."""
    name, colon, rest = spec.partition(":")
    kind = TYPES.get(name)
    if kind is None or not colon:
        known = f'expected a table such as "file:PATH", with one of the types {", ".join(TYPES)}'
        raise TableSpecError(f"{known}; found {quote(spec)}")
    if not rest.strip() or not rest.isprintable():
        raise TableSpecError(f'expected "{name}:{kind.rest}", found {quote(spec)}')
    _check_extra(name, kind)
    options = _options(name, kind, rest, config) if kind.section else None
    found = TableSpec(spec, rest, config.base, config.data_dir / "cache", options)
    return _construct(name, kind, found)


def path_of(spec: str, config: Config) -> Path | None:
    """Return the file of a table, None for a table that is no file, and for a wrong one."""
    name, _, rest = spec.partition(":")
    kind = TYPES.get(name)
    return config.path(rest) if kind is not None and kind.rest == PATH else None


def _check_extra(name: str, kind: TableType) -> None:
    if kind.needs and find_spec(kind.needs) is None:
        raise TableSpecError(
            f"tables of type {name} need the extra: pip install 'gatepost[{kind.extra}]'"
        )


def _options(name: str, kind: TableType, rest: str, config: Config) -> Any:
    sections: Mapping[str, Any] = getattr(config, kind.section)
    if rest not in sections:
        raise TableSpecError(f"{name}:{rest}: expected a table [{kind.section}.{rest}]")
    return sections[rest]


def _construct(name: str, kind: TableType, spec: TableSpec) -> Table:
    module, _, class_name = kind.implementation.partition(":")
    implementation = getattr(import_module(module), class_name)
    try:
        return cast("Table", implementation(spec))
    except ValueError as error:
        expected = str(error) or f'expected "{name}:{kind.rest}"'
        raise TableSpecError(f"{quote(spec.name)}: {expected}") from error
