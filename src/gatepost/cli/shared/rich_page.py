"""Markdown on a terminal. Importing this module takes 50 ms, so only a command that prints does."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions
from rich.markdown import Markdown, TableElement
from rich.table import Table

_WIDEST = 100


class _WholeTable(TableElement):
    """A table that breaks a word wider than its column; Rich cuts it off, such as a long path."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        for table in super().__rich_console__(console, options):
            assert isinstance(table, Table)
            for column in table.columns:
                column.overflow = "fold"
            yield table


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _WholeTable}  # noqa: RUF012 - Rich's own


def print_markdown(text: str, *, colours: bool) -> None:
    """Write Markdown to standard output, in at most _WIDEST columns."""
    console = Console(no_color=not colours, highlight=False)
    console.print(_Page(text, hyperlinks=False), width=min(console.width, _WIDEST))
