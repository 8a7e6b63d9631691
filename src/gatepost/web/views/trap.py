"""The page of one trap: its state and history, the messages that hit it, the changes.

A change asks once: with an action the page has the form, with what speaks against it.
"""

from contextlib import AbstractContextManager, nullcontext

from gatepost.checks.arming import found_objections
from gatepost.ledger.lookup import Reader
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Key, Selection
from gatepost.registry.trap import RegisteredTrap
from gatepost.traps.notes import STATES, TrapState
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.message_rows import MESSAGES, row_of
from gatepost.web.views.review import ACTIONS, actions_of, registry_of
from gatepost.web.views.view import Shown

TOP = 50
HISTORY = (
    Column("at", "Time", "time"),
    Column("state", "State"),
    Column("by", "By"),
    Column("reason", "Reason"),
)
EMPTY = "This address is not in the registry yet."
EMPTY_MESSAGES = "No message to this address is on record."


def query(source: Source, filters: Filters, entry: str, action: str) -> Shown:
    """Return the page of an entry in canonical form; raises as `review.query` and `KnownError`."""
    history = registry_of(source).history(entry)
    state = history[-1].state if history else ""
    asked = STATES.get(action)
    facts = {
        "entry": entry,
        "state": state,
        "action": action if asked else "",
        "verb": ACTIONS[asked][0] if asked else "",
        "objections": objections(source, entry) if asked is TrapState.ARMED else [],
        "actions": actions_of(entry, state),
        "undo": _undo(history),
    }
    return Shown([_history(history), _messages(source, filters, entry)], facts)


def objections(source: Source, entry: str) -> list[str]:
    """Return what speaks against arming an entry; raises as `found_objections`."""

    def ledger() -> AbstractContextManager[Reader]:
        return nullcontext(source.ledger)

    return found_objections(source.config, entry, source.now, ledger)


def _undo(history: list[RegisteredTrap]) -> str:
    """Return the state before the last change, "" if there is none to undo."""
    if not history:
        return ""
    before = history[-2].state if len(history) > 1 else TrapState.RETIRED.value
    return before if before != history[-1].state else ""


def _history(history: list[RegisteredTrap]) -> Table:
    rows = [Row((one.at, one.state, one.by, one.reason)) for one in reversed(history[-TOP:])]
    return Table("history", "History", HISTORY, rows, EMPTY)


def _messages(source: Source, filters: Filters, entry: str) -> Table:
    is_domain = entry.startswith("@")
    key = Key("domain", entry[1:]) if is_domain else Key("address", source.recorded(entry))
    selection = Selection(keys=[key], kinds=["transaction"])
    records, _ = source.first(selection, TOP)
    rows = [row_of(one, filters) for one in records if isinstance(one, Transaction)]
    return Table("messages", "Messages to it", MESSAGES, rows, EMPTY_MESSAGES)
