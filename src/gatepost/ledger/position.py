"""A place in the ledger from which a reader goes on, such as after a restart.

It can come from a client, as the last event id of a stream: any text is a position or an error.
"""

import re
from typing import NamedTuple, Self

_TEXT = re.compile(r"([0-9]{1,8})-([0-9]{1,18})")


class Position(NamedTuple):
    """The place after a record: the number of its segment, and its own number there."""

    segment: int
    record: int

    def __str__(self) -> str:
        return f"{self.segment}-{self.record}"

    @property
    def after(self) -> Self:
        """The place after this record."""
        return self._replace(record=self.record + 1)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position that `str()` has written; raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"expected a position such as 12-3400, found {text[:40]!r}")
        return cls(int(found[1]), int(found[2]))


# The place before which all records are.
FIRST = Position(10**8, 0)
