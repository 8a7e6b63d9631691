"""The virtual trap: a transaction that asks for many recipients that do not exist.

A dictionary attack tries names, and a list of dead addresses is sent in batches. Both ask for ten
or more unknown recipients in one transaction, and for hardly any that exists. No trap list is
needed.

The share protects list servers: a post to hundreds of subscribers in one transaction can meet ten
unknown ones, but not 80 %. A client that mixes in valid recipients stays below the share; this rule
does not detect it.

The rule counts distinct recipients in their canonical form. The caller counts recipients of its own
domains only, and passes the two numbers whenever a transaction ends: at DATA, RSET, QUIT and after
a lost connection. A transaction with a null sender and one recipient is a call-out; it cannot
reach the minimum.
"""

import msgspec

MINIMUM = 10
SHARE = 0.8


class ManyUnknown(msgspec.Struct, frozen=True):
    """The rule with its two limits.

    `minimum` is the smallest number of distinct unknown recipients, `share` the smallest part of
    all distinct recipients that they make up, from 0 to 1. Raises ValueError if out of range.
    """

    minimum: int = MINIMUM
    share: float = SHARE

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise ValueError("expected a minimum of at least 1")
        if not 0 <= self.share <= 1:
            raise ValueError("expected a share from 0 to 1")

    def is_hit(self, unknown: int, asked: int) -> bool:
        """Return whether `unknown` distinct recipients out of `asked` are a trap hit."""
        return unknown >= self.minimum and unknown >= self.share * asked
