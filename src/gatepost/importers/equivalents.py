"""Equivalents of the plugins of other mail servers: the rows of `equivalents.toml`.

The file is a part of this package and is trusted. A row that is not valid is an error of the
program.
"""

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

import msgspec

# The servers of the file, and their names.
SERVERS = {"qpsmtpd": "qpsmtpd", "haraka": "Haraka"}

_PACKAGE = "haraka-plugin-"
_SEPARATORS = str.maketrans("_.", "--")


class Equivalent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plugin of another server, with its equivalents here.

    `here` has references such as "plugin:clamav", "key:limits.hops" and "page:queue". It is empty
    if there is no equivalent; `note` is the reason then.
    """

    does: str
    here: tuple[str, ...] = ()
    note: str = ""
    also: tuple[str, ...] = ()
    server: str = ""
    name: str = ""

    @property
    def names(self) -> Sequence[str]:
        """All names of the plugin, those without their folder last."""
        full = (self.name, *self.also)
        return (*full, *(one.rpartition("/")[2] for one in full if "/" in one))

    def references(self, kind: str) -> list[str]:
        """Return what the references of a kind name: "plugin", "key" or "page"."""
        parts = (one.partition(":") for one in self.here)
        return [name for found, _, name in parts if found == kind]


@cache
def equivalents() -> tuple[Equivalent, ...]:
    """Return all rows in the order of the file; raises ValueError for one that is not valid."""
    text = files("gatepost.importers").joinpath("equivalents.toml").read_text("utf-8")
    return tuple(
        msgspec.convert({**row, "server": SERVERS[server], "name": name}, Equivalent)
        for server, rows in tomllib.loads(text).items()
        for name, row in rows.items()
    )


def named(name: str, rows: Iterable[Equivalent]) -> list[Equivalent]:
    """Return the rows of a plugin, by any of its names or the name of its npm package."""
    key = plain(name)
    return [row for row in rows if key in map(plain, row.names)]


def plain(name: str) -> str:
    """Return a name without the differences between the spellings of one plugin."""
    return name.lower().removesuffix(".js").removeprefix(_PACKAGE).translate(_SEPARATORS)
