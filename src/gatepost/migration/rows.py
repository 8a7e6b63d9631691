"""The rows of the table of equivalents, as findings."""

from gatepost.importers.equivalents import SERVERS, Equivalent, equivalents, named

_EXTENSION = ".md"


def row_of(server: str, name: str) -> Equivalent | None:
    """Return the row of a plugin of a server, by any of its names."""
    rows = [row for row in equivalents() if row.server == SERVERS[server]]
    return next(iter(named(name, rows)), None)


def explained(row: Equivalent) -> str:
    """Return what a plugin does at its server, and what does it here."""
    here = ", ".join(filter(None, map(_name, row.here)))
    note = row.note.replace("`", "")
    return "; ".join(filter(None, (row.does, here and f"here: {here}", note)))


def page_of(row: Equivalent) -> str:
    """Return the page of the documentation for the first equivalent, "" without one."""
    return page(row.here[0]) if row.here else ""


def page(reference: str) -> str:
    """Return the page of a reference such as "plugin:dnsbl", with its heading."""
    kind, _, name = reference.partition(":")
    if kind == "plugin":
        return f"shipped/{name}{_EXTENSION}"
    if kind == "key":
        return f"configuration{_EXTENSION}#{name.partition('.')[0]}"
    path, mark, heading = name.partition("#")
    return f"{path}{_EXTENSION}{mark}{heading}"


def _name(reference: str) -> str:
    kind, _, name = reference.partition(":")
    return f"the plugin {name}" if kind == "plugin" else name if kind == "key" else ""
