"""The parts of a view, and the result of its query."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Table


class Shown(NamedTuple):
    """The content of a page: its tables, which are also exported, and facts for the template."""

    tables: Sequence[Table]
    facts: Mapping[str, Any] = {}

    def table(self, name: str) -> Table | None:
        """Return a table by its name, the first one for "", None if there is none."""
        named = (one for one in self.tables if name in (one.name, ""))
        return next(named, None)


class View(NamedTuple):
    """A view.

    `question` is what it answers. `query` runs in a thread. `fields` are the filters that it uses.
    A view that is not `is_scoped` is for users without a scope only, and one `for_admins` for those
    of them with the role admin. With `refresh` seconds its
    page is loaded again and again.
    """

    name: str
    path: str
    title: str
    question: str
    query: Callable[[Source, Filters], Shown]
    fields: Sequence[str] = ()
    is_scoped: bool = True
    refresh: int = 0
    for_admins: bool = False
