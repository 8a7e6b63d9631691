"""Selections of records: the filters of `gatepost log`, `explain` and the dashboard."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from gatepost.ledger.records import Result

KeyKind: TypeAlias = Literal["ref", "message_id", "address", "domain", "ip", "network"]


class Key(msgspec.Struct, frozen=True):
    """A key of the index of records.

    "ref" is a reference of a transaction or connection; it also finds the deliveries of the
    transaction and the transactions of the connection. "address" and "domain" are those of the
    envelope sender or of any recipient, in canonical form. "ip" is a client's address, "network" an
    IPv4 /24 or IPv6 /48 in CIDR form.
    """

    kind: KeyKind
    value: str


class Selection(msgspec.Struct, frozen=True):
    """All conditions apply; an empty one selects everything.

    `since` and `until` are times in seconds since 1970, 0 for no limit. `keys` must all match.
    `sender` and `to` are an address, or a domain with or without "@", and compare only the envelope
    sender or the recipients. `client` is an IP address or a network. `results` are those of
    transactions; connections that were refused count as "refused" or "deferred" by their reply.
    `reason` is a whole reason, `plugin` a name. `kinds` are kinds of records.
    """

    since: float = 0.0
    until: float = 0.0
    keys: Sequence[Key] = ()
    sender: str = ""
    to: str = ""
    client: str = ""
    results: Sequence[Result] = ()
    reason: str = ""
    plugin: str = ""
    kinds: Sequence[str] = ()
