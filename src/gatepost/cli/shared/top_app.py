"""The screen of `gatepost top`: figures above a table of sessions that is renewed all the time.

Security: texts of clients are made printable, and are never read as markup.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from gatepost.cli.shared.session_rows import COLUMNS
from gatepost.cli.shared.top_figures import Sample
from gatepost.cli.shared.top_words import summary
from gatepost.log.printable import printable
from gatepost.server.live import LiveSession

# Returns a text about the end of the session with this reference.
EndSession = Callable[[str], str]


class Sampling(Protocol):
    """Takes samples; a call may block."""

    def sample(self) -> Sample:
        """Return the figures of this moment."""


class Question(ModalScreen[bool]):
    """A question that is answered with y or n."""

    CSS = """
    Question { align: center middle; }
    #question { border: round $primary; padding: 1 2; width: auto; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Yield the question."""
        yield Static(Text(f"{self._text}\n\ny: yes   n: no"), id="question")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - textual's form
        """Close with the answer."""
        self.dismiss(answer)


class Top(App[None]):
    """The screen; `interval` is in seconds between two samples."""

    TITLE = "gatepost top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #summary { height: auto; }
    #filter { display: none; }
    #filter.shown { display: block; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "Quit"),
        ("s", "sort", "Sort by the next column"),
        ("r", "reverse", "Reverse"),
        ("slash", "filter", "Filter"),
        ("k", "end", "End session"),
        ("p", "pause", "Pause"),
    ]

    def __init__(self, sampler: Sampling, end: EndSession, interval: float) -> None:
        super().__init__()
        self._sampler = sampler
        self._end = end
        self._interval = interval
        self._sample = Sample(0.0, None)
        self._column = next(i for i, one in enumerate(COLUMNS) if one.heading == "age")
        self._is_reverse = True
        self._is_paused = False
        self._filter = ""

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Static(id="summary", markup=False)
        yield Input(placeholder="client, sender, plugin … (Enter)", id="filter")
        yield DataTable[Text](cursor_type="row", zebra_stripes=True)
        yield Footer(compact=True)

    @property
    def table(self) -> DataTable[Text]:
        """The table of sessions."""
        return self.query_one(DataTable)

    def on_mount(self) -> None:
        """Begin to take samples."""
        self._show_columns()
        self.table.focus()
        self.run_worker(self._keep_sampling())

    async def _keep_sampling(self) -> None:
        while True:
            if not self._is_paused:
                self.show(await asyncio.to_thread(self._sampler.sample))
            await asyncio.sleep(self._interval)

    def show(self, sample: Sample) -> None:
        """Show a sample; the cursor stays at its session."""
        self._sample = sample
        self.query_one("#summary", Static).update(Text("\n".join(summary(sample))))
        self._show_sessions()

    def _show_columns(self) -> None:
        self.table.clear(columns=True)
        for number, column in enumerate(COLUMNS):
            mark = (" ↓" if self._is_reverse else " ↑") if number == self._column else ""
            self.table.add_column(column.heading + mark)

    def _show_sessions(self) -> None:
        table, chosen = self.table, self.chosen
        table.clear()
        found = self._shown()
        for one in found:
            table.add_row(*(_cell(column.text(one)) for column in COLUMNS), key=one.ref)
        row = next((i for i, one in enumerate(found) if one.ref == chosen), 0)
        table.move_cursor(row=row, animate=False)

    def _shown(self) -> list[LiveSession]:
        """Return the sessions that match the filter, in order."""
        live = self._sample.live
        found = [one for one in (live.sessions if live else ()) if self._matches(one)]
        return sorted(found, key=COLUMNS[self._column].value, reverse=self._is_reverse)

    def _matches(self, one: LiveSession) -> bool:
        return any(self._filter in column.text(one).lower() for column in COLUMNS)

    @property
    def chosen(self) -> str:
        """The reference of the session at the cursor, "" without one."""
        table = self.table
        if not table.row_count:
            return ""
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value or ""

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._column = (self._column + 1) % len(COLUMNS)
        self._show_sorted()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._is_reverse = not self._is_reverse
        self._show_sorted()

    def _show_sorted(self) -> None:
        self._show_columns()
        self._show_sessions()

    def action_pause(self) -> None:
        """Stop to take samples, or go on."""
        self._is_paused = not self._is_paused
        self.notify("paused" if self._is_paused else "running", timeout=2)

    def action_filter(self) -> None:
        """Ask for a text that the rows must contain."""
        field = self.query_one(Input)
        field.add_class("shown")
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show the rows that contain the text; an empty one shows all."""
        self._filter = event.value.strip().lower()
        event.input.set_class(bool(self._filter), "shown")
        self.table.focus()
        self._show_sessions()

    def action_end(self) -> None:
        """Ask, then end the session at the cursor."""
        ref = self.chosen
        if ref:
            self.push_screen(Question(f"End the session {ref}?"), lambda yes: self._ask(ref, yes))

    def _ask(self, ref: str, yes: bool | None) -> None:  # noqa: FBT001 - textual's form
        if yes:
            self.run_worker(self._end_session(ref))

    async def _end_session(self, ref: str) -> None:
        self.notify(printable(await asyncio.to_thread(self._end, ref)), markup=False)


def _cell(text: str) -> Text:
    return Text(printable(text), no_wrap=True)
