"""Settings that are part of the format but not implemented yet: parsed, checked and refused.

A setting without effect would mislead the administrator. This table is the only list of such
settings; the documentation is generated from it. Each row has a key (`[]` for the items of an
array), a test for available values, and the error message for others. Delete a row when its feature
is implemented.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gatepost.config.problem import Location

PROTOCOLS = ("smtp", "lmtp", "milter")


class Unavailable(msgspec.Struct, frozen=True):
    """A setting: its key, a test for available values, and the message for the others.

    `missing` names the missing feature in the documentation.
    """

    key: str
    available: Callable[[Any], bool]
    missing: str
    message: str


UNAVAILABLE = (
    Unavailable(
        "listen[].protocol",
        PROTOCOLS.__contains__,
        "the protocol `policy`",
        'this protocol is not available yet, expected "smtp", "lmtp" or "milter"',
    ),
)

_ROWS = {row.key: row for row in UNAVAILABLE}


def refuse_unavailable(root: Location) -> None:
    """Report every value below `root` that is not available yet."""
    for location, value in root.values:
        row = _ROWS.get(location.pattern)
        if row is not None and not row.available(value):
            location.report(row.message)
