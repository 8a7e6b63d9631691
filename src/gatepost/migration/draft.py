"""The new configuration while it is made: keys, listeners, routes, plugins, lists and findings.

Each key and each table remembers the file that it comes from, for a comment in `gatepost.toml`.
The order of plugins is that of the calls.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from gatepost.migration.findings import Findings
from gatepost.migration.source import Line
from gatepost.migration.toml import WIDTH, Value, assignment, comment, key, to_toml

# The tables that are there once, in the order of the file, with the arrays between them.
_BEFORE = ("server", "listen", "tls", "auth", "smtp", "limits", "recipients", "traps", "route")
_BEHIND = ("queue", "plugin", "store", "log")


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
        """Append an item to an array."""
        before = self.get(path)
        self.put(path, [*(before if isinstance(before, Sequence) else ()), value])

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
        """Append an item to an array among the options of a plugin."""
        options = self.plugin(use, place).keys.setdefault("options", {})
        assert isinstance(options, dict)
        found = options.setdefault(name, [])
        assert isinstance(found, list)
        found.append(item)

    def find_plugin(self, use: str) -> Table | None:
        """Return a plugin by its name, None if it was not added."""
        return next((one for one in self.plugins if one.keys["use"] == use), None)

    def text(self) -> str:
        """Return the configuration."""
        return "\n".join(line for part in self._parts() for line in (*part, ""))

    def _parts(self) -> Iterator[list[str]]:
        arrays = {"listen": self.listen, "route": self.routes, "plugin": self.plugins}
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
