"""The view Trap review: which addresses should become traps, and what each would have refused.

Candidates are registered traps in shadow mode, and unknown recipients that several networks asked
for and no good sender did. An administrator arms or retires them on the page of the trap (`trap`).

Limits: the newest MOST_READ messages and MOST_TRAPS registered traps are read, TOP rows are shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from urllib.parse import urlencode

import msgspec

from gatepost.ledger.keys import canonical_address, network_of
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import QueryTimeoutError
from gatepost.ledger.trap_outcome import judge
from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap
from gatepost.traps.notes import TrapState
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Action, Column, Row, Table
from gatepost.web.views.view import Shown
from gatepost.web.views.wrong import MOST_READ, PARTIAL, History, Identity, good_of, identity_of

PATH = "/review/trap"
TOP = 100
MOST_TRAPS = 20_000
# An unknown recipient is suggested from so many attempts of so many networks on.
ATTEMPTS, NETWORKS = 3, 2
UNKNOWN = "unknown-recipient"
_EVIDENCE = (
    Column("networks", "Networks", "count"),
    Column("good", "Of good senders", "count"),
    Column("last", "Last", "time"),
)
SHADOW = (
    Column("trap", "Trap", "address"),
    Column("trap_class", "Class"),
    Column("by", "By"),
    Column("reason", "Reason"),
    Column("hits", "Hits", "count"),
    Column("would", "Would refuse", "count"),
    *_EVIDENCE,
)
SUGGESTED = (
    Column("trap", "Unknown recipient", "address"),
    Column("hits", "Attempts", "count"),
    *_EVIDENCE,
)
REGISTERED = (
    Column("trap", "Trap", "address"),
    Column("state", "State"),
    Column("trap_class", "Class"),
    Column("by", "By"),
    Column("reason", "Reason"),
    Column("at", "Changed", "time"),
)
EMPTY = (
    "No registered trap is in shadow mode. `gatepost traps add ADDRESS --state shadow` adds one."
)
EMPTY_SUGGESTED = (
    f"No unknown recipient had {ATTEMPTS} attempts from {NETWORKS} networks without a good sender"
    " in this period. With hidden addresses in the ledger there are no suggestions."
)
EMPTY_REGISTERED = "The registry has no trap. `gatepost traps add ADDRESS` adds one."
# The change to a state: its verb, and its key.
ACTIONS: Mapping[TrapState, tuple[str, str]] = {
    TrapState.ARMED: ("Arm", "a"),
    TrapState.SHADOW: ("Shadow", "s"),
    TrapState.RETIRED: ("Retire", "r"),
}


class Evidence(msgspec.Struct):
    """The attempts to reach an address: messages, those that it would refuse, good senders."""

    hits: int = 0
    would: int = 0
    good: int = 0
    last: float = 0.0
    networks: set[str] = msgspec.field(default_factory=set)

    def add(self, message: Transaction, *, would: bool, good: bool) -> None:
        """Count a message."""
        self.hits += 1
        self.would += would
        self.good += good
        self.last = max(self.last, message.time)
        self.networks.add(network_of(message.client.address) or message.client.address)

    @property
    def facts(self) -> tuple[int, int, float]:
        """The networks, the messages of good senders, and the last time."""
        return len(self.networks), self.good, self.last


Found = Mapping[str, Evidence]


def query(source: Source, filters: Filters) -> Shown:
    """Return the candidates; raises `LedgerError`, `ListError` and OSError."""
    selection = Selection(since=filters.since, until=filters.until, kinds=["transaction"])
    records, is_complete = source.first(selection, MOST_READ)
    messages = [one for one in records if isinstance(one, Transaction)]
    good = good_of(messages)
    traps = registered(source)
    note = "" if is_complete else PARTIAL
    shadow = [one for one in traps if one.state == TrapState.SHADOW.value]
    unknown = {} if "addresses" in source.config.ledger.privacy else _unknown(messages, good)
    suggested = _suggested(unknown, {one.entry for one in traps})
    tables = [
        Table("shadow", "In shadow mode", SHADOW, _shadow(shadow, hits_of(messages, good)), EMPTY),
        Table("suggested", "Suggested", SUGGESTED, suggested, EMPTY_SUGGESTED, note),
        Table("registered", "Registered traps", REGISTERED, _rows(traps), EMPTY_REGISTERED),
    ]
    return Shown(tables)


def registry_of(source: Source) -> FileRegistry:
    """Return the registry with its present lines; raises `ListError` and OSError."""
    registry = FileRegistry(source.config.data_dir)
    registry.list.load()
    return registry


def registered(source: Source) -> list[RegisteredTrap]:
    """Return the first registered traps, the newest change first; raises as `registry_of`."""
    found = []
    for one in islice(registry_of(source).traps(), MOST_TRAPS):
        if source.is_over():
            raise QueryTimeoutError
        found.append(one)
    return found[::-1]


def page_of(entry: str, **more: str) -> str:
    """Return the path of the page of a trap."""
    return f"{PATH}?{urlencode({'entry': entry, **more})}"


def actions_of(entry: str, state: str) -> list[Action]:
    """Return the changes of a trap in a state, "" for an address that is not registered."""
    return [
        Action(title, page_of(entry, action=one.value), key)
        for one, (title, key) in ACTIONS.items()
        if one.value != state
    ]


def hits_of(messages: Iterable[Transaction], good: Mapping[Identity, History]) -> Found:
    """Return the hits of each trap, by the entry in canonical form."""
    found: dict[str, Evidence] = defaultdict(Evidence)
    for one in messages:
        if not one.traps:
            continue
        would, is_good = judge(one, 0.0).would_stop, identity_of(one) in good
        for entry in {canonical_address(trap.entry) for trap in one.traps}:
            found[entry].add(one, would=would, good=is_good)
    return found


def _unknown(messages: Iterable[Transaction], good: Mapping[Identity, History]) -> Found:
    found: dict[str, Evidence] = defaultdict(Evidence)
    for one in messages:
        about = {answer.about for answer in one.answers if answer.reason == UNKNOWN}
        for address in {canonical_address(text) for text in about if "@" in text[1:-1]}:
            found[address].add(one, would=False, good=identity_of(one) in good)
    return found


def _shadow(traps: Sequence[RegisteredTrap], hits: Found) -> list[Row]:
    none = Evidence()
    pairs = [(one, hits.get(one.entry, none)) for one in traps]
    order = sorted(pairs, key=lambda pair: -pair[1].hits)[:TOP]
    return [
        Row(
            (one.entry, one.trap_class, one.by, one.reason, hit.hits, hit.would, *hit.facts),
            page_of(one.entry),
            actions_of(one.entry, one.state),
        )
        for one, hit in order
    ]


def _suggested(unknown: Found, traps: set[str]) -> list[Row]:
    chosen = [
        (address, one)
        for address, one in unknown.items()
        if address not in traps
        and not one.good
        and one.hits >= ATTEMPTS
        and len(one.networks) >= NETWORKS
    ]
    order = sorted(chosen, key=lambda item: (-len(item[1].networks), -item[1].hits, item[0]))
    return [
        Row((address, one.hits, *one.facts), page_of(address), actions_of(address, ""))
        for address, one in order[:TOP]
    ]


def _rows(traps: Sequence[RegisteredTrap]) -> list[Row]:
    return [
        Row(
            (one.entry, one.state, one.trap_class, one.by, one.reason, one.at),
            page_of(one.entry),
            actions_of(one.entry, one.state),
        )
        for one in traps[:TOP]
    ]
