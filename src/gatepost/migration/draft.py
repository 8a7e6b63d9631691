"""The new configuration while it is made: keys, listeners, routes, plugins, lists and findings.

Each key and each table remembers the file that it comes from, for a comment in `gatepost.toml`.
The order of plugins is that of the calls.
"""

import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from gatepost.migration.findings import Findings
from gatepost.migration.source import Line
from gatepost.migration.toml import WIDTH, Value, assignment, comment, key, to_toml

# The tables that are there once, in the order of the file, with the arrays between them.
_BEFORE = ("server", "listen", "tls", "auth", "smtp", "limits", "recipients", "traps", "route")
_BEHIND = ("queue", "plugin", "store", "log")
# A key of a table, or an item of an array of tables.
_PATH = re.compile(r"(\w+)(?:\[([0-9]+)\])?(?:\.(\w+))?")


class Table(msgspec.Struct):
    """One of an array of tables: its keys, and the file that it comes from."""

    keys: dict[str, Value]
    place: str = ""


class ListFile(msgspec.Struct):
    """A list of the new folder: the lines that it is made of, and what each of them becomes.

    `source` is the name of its file. `convert` returns "" for a line without an entry, and raises
    ValueError with what was expected. `text` is the finding when the list is read, with the number
    of entries. A list is read once.
    """

    name: str
    source: str
    place: str
    text: str
    page: str
    lines: Callable[[], Iterator[Line]]
    convert: Callable[[Line], str]


class Draft:
    """A configuration that is being made."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.listen: list[Table] = []
        self.routes: list[Table] = []
        self.plugins: list[Table] = []
        self.lists: list[ListFile] = []
        self.texts: dict[str, str] = {}
        self.private: set[str] = set()
        self._keys: dict[str, dict[str, tuple[Value, str]]] = {}

    def set(self, path: str, value: Value, place: str) -> None:
        """Set a key of a table such as "limits.hops", and record it."""
        self.put(path, value, place)
        self.findings.taken(place, f"{path} = {to_toml(value)}", f"configuration.md#{_table(path)}")

    def put(self, path: str, value: Value, place: str = "") -> None:
        """Set a key of a table without a finding."""
        table, _, name = path.rpartition(".")
        self._keys.setdefault(table, {})[name] = (value, place)

    def append(self, path: str, value: Value) -> None:
        """Append an item to an array, unless it is there."""
        before = self.get(path)
        items = before if isinstance(before, list) else []
        if value not in items:
            self.put(path, [*items, value])

    def get(self, path: str) -> Value | None:
        """Return the value of a key, None if it is not set."""
        table, _, name = path.rpartition(".")
        found = self._keys.get(table, {}).get(name)
        return found[0] if found else None

    def plugin(
        self, use: str, place: str, options: Mapping[str, Value] | None = None, **keys: Value
    ) -> Table:
        """Add a plugin, or return the one of this name: two plugins of a server can be one here."""
        table = self.find_plugin(use)
        if table is None:
            table = Table({"use": use}, place)
            self.plugins.append(table)
        table.keys.update({name: value for name, value in keys.items() if value})
        if options:
            found = table.keys.get("options")
            before = found if isinstance(found, Mapping) else {}
            table.keys["options"] = {**before, **options}
        return table

    def append_option(self, use: str, place: str, name: str, item: Value) -> None:
        """Append an item to an array among the options of a plugin, unless it is there."""
        options = self.plugin(use, place).keys.setdefault("options", {})
        assert isinstance(options, dict)
        found = options.setdefault(name, [])
        assert isinstance(found, list)
        if item not in found:
            found.append(item)

    def find_plugin(self, use: str) -> Table | None:
        """Return a plugin by its name, None if it was not added."""
        return next((one for one in self.plugins if one.keys["use"] == use), None)

    def drop(self, key: str, problem: str) -> bool:
        """Remove what a key such as "limits.hops" or "route[0].to" is a part of, and record it.

        Return whether it was there.
        """
        match = _PATH.match(key)
        if match is None:
            return False
        table, number, name = match.groups()
        if number is None:
            return self._drop_key(table, name, key, problem)
        tables = self._arrays()[table]
        return self._drop_table(tables, tables[int(number)], key, problem)

    def _drop_key(self, table: str, name: str, key: str, problem: str) -> bool:
        found = self._keys.get(table, {}).pop(name, None)
        if found is not None:
            self.findings.replaced(found[1], f"{table}.{name} =", f"{key}: {problem}")
        return found is not None

    def _drop_table(self, tables: list[Table], table: Table, key: str, problem: str) -> bool:
        tables.remove(table)
        what = str(table.keys.get("use") or table.keys.get("to") or table.keys.get("address"))
        self.findings.replaced(table.place, what, f"{key}: {problem}")
        return True

    def drop_plugin(self, table: Table, problem: str) -> None:
        """Remove a plugin, and record it."""
        self._drop_table(self.plugins, table, str(table.keys["use"]), problem)

    def _arrays(self) -> dict[str, list[Table]]:
        return {"listen": self.listen, "route": self.routes, "plugin": self.plugins}

    def text(self) -> str:
        """Return the configuration."""
        return "\n".join(line for part in self._parts() for line in (*part, ""))

    def _parts(self) -> Iterator[list[str]]:
        arrays = self._arrays()
        for name in (*_BEFORE, *_BEHIND):
            if name in arrays:
                yield from (_of_array(name, table) for table in arrays[name])
            elif name in self._keys:
                yield _of_table(name, self._keys[name])


def _table(path: str) -> str:
    return path.partition(".")[0]


def _of_table(name: str, keys: Mapping[str, tuple[Value, str]]) -> list[str]:
    lines = (assignment(one, value, place) for one, (value, place) in keys.items())
    return [f"[{name}]", *(line for some in lines for line in some)]


def _of_array(name: str, table: Table) -> list[str]:
    """Return the lines of a table; long tables in it follow as tables of their own."""
    lines, behind = [f"[[{name}]]{comment(table.place)}"], []
    for one, value in table.keys.items():
        if isinstance(value, Mapping) and len(to_toml(value)) > WIDTH // 2:
            behind += ["", f"[{name}.{key(one)}]"]
            behind += [line for part in value.items() for line in assignment(*part)]
        else:
            lines += assignment(one, value)
    return lines + behind
