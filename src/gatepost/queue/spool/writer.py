"""The writing thread of a spool file: group commit, and another file if this one is damaged."""

from collections.abc import Callable

from gatepost.disk.group_writer import GroupWriter
from gatepost.queue.spool.sql.database import is_damage
from gatepost.queue.spool.store import Store

SpoolWriter = GroupWriter[Store]


def start_writer(store: Store, replace: Callable[[Store, str], Store]) -> SpoolWriter:
    """Start the thread; `replace` returns another store for a damaged one, or raises."""

    def replacement(store: Store, error: BaseException) -> Store | None:
        return replace(store, str(error)) if is_damage(error) else None

    return GroupWriter(store, replacement, name="gatepost-spool")
