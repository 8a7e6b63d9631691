"""The addresses that users have written to, in the store of the plugin `standing`.

Each address is a key with the time of the last message, in seconds since 1970. The key ends when
the address is no longer trusted.

Limits: one batch has BATCH addresses. The store replaces keys if it is full (`docs/store.md`).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from gatepost import Address
from gatepost.store.store import Store
from gatepost.traps.message_ids import OWN_FORMS
from gatepost.traps.senders import is_automatic

BATCH = 500

_PROGRAMS = ("SRS", "VERP", "returns", "list manager")

_Item = TypeVar("_Item")


class Recorded(NamedTuple):
    """The number of addresses: new ones, those with a later message than before, and others."""

    new: int
    renewed: int
    unchanged: int


def is_of_program(local: str) -> bool:
    """Return whether the local part of a sender is that of a program, not of a user.

    Bounces, forwards (SRS), lists (VERP) and `noreply` reach addresses that no user has chosen. An
    address with a BATV or another tag is that of a user.
    """
    lower = local.lower()
    return is_automatic(local) or any(OWN_FORMS[name].search(lower) for name in _PROGRAMS)


def key_of(address: Address) -> str:
    """Return the key of an address."""
    return f"sent {address.key}"


async def record(store: Store, keys: Sequence[str], now: float, keep: float) -> None:
    """Record that users write to addresses now; raises StoreError."""
    for some in _batches(keys):
        async with store.batch() as batch:
            written = [batch.set(key, int(now), ttl=keep) for key in some]
        for one in written:
            one.value  # noqa: B018 - raises the error of the operation


async def record_earlier(
    store: Store, times: Mapping[str, float], now: float, keep: float
) -> Recorded:
    """Record when users wrote to addresses, by key; what is newer in the store stays.

    No time may be `keep` seconds old. Raises StoreError.
    """
    new = renewed = 0
    for some in _batches(list(times.items())):
        async with store.batch() as batch:
            stored = [batch.get(key) for key, _ in some]
        known = [one.value for one in stored]
        later = [
            (key, time)
            for (key, time), value in zip(some, known, strict=True)
            if value is None or (isinstance(value, int) and int(time) > value)
        ]
        async with store.batch() as batch:
            written = [batch.set(key, int(at), ttl=keep - (now - at)) for key, at in later]
        for one in written:
            one.value  # noqa: B018 - raises the error of the operation
        new += known.count(None)
        renewed += len(later) - known.count(None)
    return Recorded(new, renewed, len(times) - new - renewed)


def _batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(islice(rest, BATCH)):
        yield some
