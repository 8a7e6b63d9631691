"""Write the equivalents of other servers' plugins as cells of tables, for tools/reference.py."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from gatepost.importers.equivalents import Equivalent, equivalents

DOCS = Path(__file__).resolve().parent.parent / "docs"

_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def rows(server: str) -> Iterator[Sequence[str]]:
    """Yield the name, the task and the equivalent of each plugin of a server."""
    for one in equivalents():
        if one.server == server:
            yield f"`{one.name}`", one.does, _here(one)


def _here(one: Equivalent) -> str:
    """Return links to the equivalents, and the note."""
    links = ", ".join(map(_link, one.here)) or "none"
    return f"{links}. {one.note}" if one.note else links


def _link(reference: str) -> str:
    """Return the link of a reference; raises ValueError for an unknown kind of reference."""
    kind, _, name = reference.partition(":")
    match kind:
        case "plugin":
            return f"[`{name}`](shipped/{name}.md)"
        case "key":
            return f"[`{name}`](configuration.md#{name.partition('.')[0]})"
        case "page":
            page, separator, anchor = name.partition("#")
            return f"[{_title(page, anchor)}]({page}.md{separator}{anchor})"
    raise ValueError(f"{reference}: expected plugin:NAME, key:PATH or page:PAGE")


def _title(page: str, anchor: str) -> str:
    """Return the heading of an anchor, or the title of the page; raises ValueError."""
    headings = _HEADING.findall((DOCS / f"{page}.md").read_text("utf-8"))
    for heading in headings:
        if not anchor or _anchor(heading) == anchor:
            return str(heading)
    raise ValueError(f"docs/{page}.md: no heading has the anchor {anchor}")


def _anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
