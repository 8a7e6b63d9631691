"""Kinds of single options: durations, sizes, files, tables, secrets and reactions.

A kind is a class that a plugin uses as the type of an option. `READERS` has the function that reads
each kind from a configured value. It raises ValueError with the expected and the found value, and
accepts a value that is already typed.

Security: no error shows a secret.
"""

from collections.abc import Callable, Mapping
from pathlib import Path, PosixPath
from typing import Any, Self

from gatepost.config.formats import FILE_PREFIX
from gatepost.config.problem import format_value
from gatepost.config.secret_file import read_secret
from gatepost.config.units import (
    UnitError,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from gatepost.model.secret import Secret
from gatepost.plugin.options import reaction
from gatepost.plugin.options.lists import AddressList, DomainList, NetworkList, RegexList
from gatepost.plugin.options.reaction import Reaction
from gatepost.plugin.place import Place


class Duration(float):
    """A time in seconds, written as "250ms", "90s", "5m", "24h" or "30d", or as a number.

    Raises ValueError for another text. It is a float: `Duration("5m") == 300`.
    """

    def __new__(cls, value: str | float) -> Self:
        """Return the duration of a text or of a number of seconds."""
        return super().__new__(cls, parse_duration(value))

    def __str__(self) -> str:
        return format_duration(self)


class Size(int):
    """A number of octets, written as "10KB" or "25MiB", or as a whole number.

    Raises ValueError for another text. It is an int: `Size("1KiB") == 1024`.
    """

    def __new__(cls, value: str | int) -> Self:
        """Return the size of a text or of a number of octets."""
        return super().__new__(cls, parse_size(value))

    def __str__(self) -> str:
        return format_size(self)


class File(PosixPath):
    """The path of a file that must exist. A relative path starts at the configuration's folder.

    `gatepost check` and the start of the server report a missing file.
    """


class TableName(str):
    """The specification of a table, such as "lmdb:users"; `self.table(name)` returns the table.

    `gatepost check` and the start of the server open the table.
    """

    __slots__ = ()


EXPECTED: Mapping[Any, str] = {
    Duration: 'a duration such as "90s" or "5m"',
    Size: 'a size such as "10KB" or "25MiB"',
    Secret: 'a secret as text, or "file:NAME"',
    File: "a file name",
    TableName: 'a table such as "lmdb:NAME" or "sql:NAME"',
    Path: "a path",
    AddressList: AddressList.expected,
    DomainList: DomainList.expected,
    NetworkList: NetworkList.expected,
    RegexList: RegexList.expected,
    Reaction: reaction.EXPECTED,
}


def _mismatch(kind: type, value: object) -> ValueError:
    return ValueError(f"expected {EXPECTED[kind]}, found {format_value(value)}")


def _read_duration(value: Any, _place: Place) -> Duration:
    try:
        return Duration(value)
    except UnitError:
        raise _mismatch(Duration, value) from None


def _read_size(value: Any, _place: Place) -> Size:
    try:
        return Size(value)
    except UnitError:
        raise _mismatch(Size, value) from None


def _read_file(value: object, place: Place) -> File:
    return File(_read_path(value, place, File))


def _read_path(value: object, place: Place, kind: type = Path) -> Path:
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise _mismatch(kind, value)
    return place.base / text


def _read_table_name(value: object, _place: Place) -> TableName:
    if not isinstance(value, str):
        raise _mismatch(TableName, value)
    return TableName(value)


def _read_secret(value: object, place: Place) -> Secret:
    if not isinstance(value, str):
        raise ValueError(f"expected {EXPECTED[Secret]}")  # noqa: TRY004 - see above
    if not value.startswith(FILE_PREFIX):
        return Secret(value)
    return read_secret(place.base / value.removeprefix(FILE_PREFIX))


def _read_reaction(value: Any, _place: Place) -> Reaction:
    try:
        return Reaction(value)
    except ValueError:
        raise _mismatch(Reaction, value) from None


READERS: Mapping[Any, Callable[[Any, Place], object]] = {
    Duration: _read_duration,
    Size: _read_size,
    Secret: _read_secret,
    File: _read_file,
    TableName: _read_table_name,
    Path: _read_path,
    AddressList: AddressList.read,
    DomainList: DomainList.read,
    NetworkList: NetworkList.read,
    RegexList: RegexList.read,
    Reaction: _read_reaction,
}
