"""Traps in the formats of other programs: `gatepost traps export`.

Only traps are exported for which the other program does what Gatepost would do: those that refuse
the whole message of any stranger. A program that refuses mail for a trap of a softer kind, or for
a mailbox that a pattern covers, would lose mail. The others are reported with the reason.

Limits: patterns are in the language of RE2, and are not translated. The standing of a sender has no
part in it: the other program treats all of them as strangers.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from gatepost.cli.shared.trap_rows import Row
from gatepost.lists.entry import EntryKind, ListEntry
from gatepost.traps.guessable import is_guessable
from gatepost.traps.notes import TrapState
from gatepost.traps.table import ROLES, TrapTable
from gatepost.traps.verdicts import Standing, TrapClass, Treatment, treatment


class Exported(NamedTuple):
    """The lines of the other program, and the entries that are left out with the reason."""

    lines: list[str]
    left_out: list[str]


def export(
    rows: Iterable[Row], covered: Collection[str], write: Callable[[ListEntry], str]
) -> Exported:
    """Return the traps as `write` has them; `covered` are the keys of entries with a mailbox."""
    result = Exported([], [])
    for row in rows:
        reason = _why_not(row, covered)
        if reason:
            place = "registry" if row.registered else f"{row.entry.source}:{row.entry.line}"
            result.left_out.append(f"{place}: {row.entry.text} is not exported: {reason}")
        else:
            result.lines.append(write(row.entry))
    return result


def _why_not(row: Row, covered: Collection[str]) -> str:
    entry, marks = row.entry, row.marks
    if row.reason:
        return row.reason
    if row.state != TrapState.ARMED.value:
        return f"its state is {row.state}"
    if marks.exempt:
        return "it has exempt senders"
    if entry.kind is EntryKind.PATTERN:
        return "it is a pattern"
    if entry.key in covered:
        return "a known recipient is in the domain"
    guessable = marks.trap_class is not None and not marks.spoils
    if guessable and is_guessable(entry.key.rpartition("@")[0]):
        return "it is guessable"
    if treatment(TrapClass(row.trap_class), Standing.STRANGER) is not Treatment.REFUSE_ALL:
        return f"its class is {row.trap_class}"
    return ""


def covered_domains(table: TrapTable, known: Iterable[Iterable[ListEntry]]) -> set[str]:
    """Return the keys of `@domain` entries with a known recipient in the domain."""
    domains = {f"@{one.key.rpartition('@')[2]}" for source in known for one in source}
    return {key for key in domains if any(one.current.exact(key) for one in table.lists)}


def as_rspamd(separators: str) -> Callable[[ListEntry], str]:
    """Return a function that writes a line of a map of regular expressions for rspamd.

    A subaddress, which begins with one of the `separators`, belongs to the address. Roles are no
    traps in any domain.
    """
    tag = f"([{re.escape(separators)}][^@]*)?" if separators else ""

    def write(entry: ListEntry) -> str:
        local, _, domain = entry.key.rpartition("@")
        domain = re.escape(domain)
        if entry.kind is EntryKind.DOMAIN:
            return f"/^(?!({'|'.join(sorted(ROLES))}){tag}@).*@{domain}$/i"
        return f"/^{re.escape(local)}{tag}@{domain}$/i"

    return write


FORMATS: Mapping[str, Callable[[str], Callable[[ListEntry], str]]] = {"rspamd": as_rspamd}
