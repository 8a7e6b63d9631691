"""The page that asks whether to forgive: what plugins have on record of a client and a domain."""

from gatepost.checks.forgiving import ForgiveError, Subject, SubjectError, remembered, subjects_of
from gatepost.ledger.selection import Key
from gatepost.web.changes import ChangeError
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.view import Shown

PATH = "/forgive"
COLUMNS = (
    Column("subject", "Client or domain"),
    Column("plugin", "Plugin"),
    Column("found", "On record", "count"),
)
EMPTY = (
    "No plugin of this configuration remembers trap hits: trap_memory, trap_probes and standing do."
)


def query(source: Source, _filters: Filters, what: str) -> Shown:
    """Return what is on record; raises `ChangeError` and `ForgiveError`."""
    found = remembered(subjects(source, what), source.config)
    rows = [Row((one.name, one.plugin, one.found)) for one in found]
    names = list(dict.fromkeys(one.name for one in found))
    table = Table("remembered", "On record", COLUMNS, rows, EMPTY)
    facts = {"what": what, "names": names, "found": sum(one.found for one in found), "done": None}
    return Shown([table], facts)


def subjects(source: Source, what: str) -> list[Subject]:
    """Return what a text stands for; raises `ChangeError` and `LedgerError`."""
    try:
        return subjects_of(what.strip(), lambda ref: source.ledger.find(Key("ref", ref)))
    except (SubjectError, ForgiveError) as error:
        raise ChangeError(str(error)) from error
