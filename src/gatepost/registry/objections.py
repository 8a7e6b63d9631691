"""Reasons against arming a trap: the address is, or looks like, one that receives real mail."""

from collections.abc import Iterator, Sequence

from gatepost.lists.addresses import ListSource
from gatepost.traps.neighbours import neighbours
from gatepost.traps.table import ROLES


def near(entry: str) -> set[str]:
    """Return an address in canonical form, and those that are one typing error away from it.

    There are none for `@domain`.
    """
    local, _, domain = entry.rpartition("@")
    return {entry, *(f"{one}@{domain}" for one in neighbours(local))} if local else set()


def objections(entry: str, known: Sequence[ListSource]) -> Iterator[str]:
    """Yield what speaks against arming an entry in canonical form, given who exists."""
    local, _, domain = entry.rpartition("@")
    if not local:
        return
    if local in ROLES:
        yield "it is a role address (RFC 2142)"
    if _exists(entry, known):
        yield "it is a known recipient"
    users = (f"{one}@{domain}" for one in neighbours(local))
    user = next((one for one in users if _exists(one, known)), None)
    if user is not None:
        yield f"it is one typing error away from {user}"


def _exists(key: str, known: Sequence[ListSource]) -> bool:
    return any(source.current.exact(key) is not None for source in known)
