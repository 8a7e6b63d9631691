"""The view Allowed: the entries of `gatepost allow`, with their ends, notes and authors."""

from urllib.parse import urlencode

from gatepost.allow.entry import Entry
from gatepost.allow.file import read_entries
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Action, Column, Row, Table
from gatepost.web.views.view import Shown

PATH = "/allowed"
END_PATH = "/allowed/end"
COLUMNS = (
    Column("what", "Allowed"),
    Column("until", "Until", "day"),
    Column("traps", "Traps too"),
    Column("by", "By"),
    Column("at", "Since", "day"),
    Column("note", "Note"),
)
EMPTY = (
    "Nothing is allowed. The pages of messages and dossiers have the button Allow until…, and"
    " `gatepost allow add` does the same."
)


def query(source: Source, _filters: Filters) -> Shown:
    """Return the entries in force, the next end first; raises `AllowError`."""
    found = sorted(read_entries(source.config.data_dir, source.now), key=lambda one: one.until)
    return Shown([Table("entries", "Entries", COLUMNS, [_row(one) for one in found], EMPTY)])


def _row(one: Entry) -> Row:
    action = Action("Remove", f"{END_PATH}?{urlencode({'what': one.what})}")
    values = (one.what, one.until, "yes" if one.traps else "", one.by, one.at, one.note)
    return Row(values, actions=(action,))
