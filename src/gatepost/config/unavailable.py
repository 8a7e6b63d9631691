"""Settings whose work is not built yet: understood, checked, and refused.

A setting that is read and then ignored would be a promise broken in silence. Each row names a key
(`[]` for the items of an array), says which values are available, and what to tell whoever asks
for another. Delete a row when its feature arrives.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gatepost.config.problem import Location
from gatepost.config.units import parse_duration

# What a configuration built in code has anyway.
DEFAULT_KEEP = parse_duration("30d")


class Unavailable(msgspec.Struct, frozen=True):
    """One row: the key, whether a value is available, and the message for one that is not."""

    key: str
    available: Callable[[Any], bool]
    message: str


UNAVAILABLE = (
    Unavailable(
        "listen[].protocol",
        lambda value: value in ("smtp", "lmtp"),
        'this protocol is not available yet, expected "smtp" or "lmtp"',
    ),
    Unavailable(
        "ledger.keep",
        lambda value: value == DEFAULT_KEEP,
        "the ledger is not available yet, expected no [ledger]",
    ),
)

_ROWS = {row.key: row for row in UNAVAILABLE}


def refuse_unavailable(root: Location) -> None:
    """Report every value read below `root` that asks for what is not built yet."""
    for location, value in root.values:
        row = _ROWS.get(location.pattern)
        if row is not None and not row.available(value):
            location.report(row.message)
