"""The view Wrongly refused?: good senders whose mail was refused or delayed, and shadow mode.

A sender is good if the plugin `standing` has it on record, or if GOOD messages of it were accepted
in the period and no trap was hit. A domain that neither SPF nor DMARC has proven counts together
with the network of the client, so that a forged domain has no history.

Limits: the newest MOST_READ messages are read, for a short time. TOP rows of each table.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gatepost.ledger.keys import canonical_address, domain_of, network_of
from gatepost.ledger.matching import matcher
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Selection
from gatepost.ledger.trap_outcome import result_of, standing_of
from gatepost.ledger.words.listing import entry_of
from gatepost.ledger.words.story import outcome
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table, Value
from gatepost.web.views.message_rows import MESSAGES, row_of
from gatepost.web.views.sender_actions import sender_actions
from gatepost.web.views.view import Shown

MOST_READ = 50_000
TOP = 100
STOPPED = ("refused", "deferred")
# Accepted messages that make a good history.
GOOD = 3
SENDERS = (
    Column("domain", "Sender", "domain"),
    Column("network", "Network", "client"),
    Column("standing", "Standing"),
    Column("accepted", "Accepted", "count"),
    Column("refused", "Refused", "count"),
    Column("deferred", "Deferred", "count"),
    Column("reason", "Last reason"),
    Column("last", "Last", "time"),
)
SHADOW = (
    Column("by", "Plugin"),
    Column("reason", "Reason"),
    Column("would", "Would refuse", "count"),
    Column("accepted", "Accepted", "count"),
    Column("good", "Of good senders", "count"),
    Column("otherwise", "Refused otherwise", "count"),
)
EMPTY = (
    "No message of a good sender was refused or deferred in this period. Good senders are those"
    f" that the plugin standing has on record, and those with {GOOD} accepted messages."
)
EMPTY_SHADOW = (
    'No plugin in shadow mode had an opinion. Set action = "log" in a [[plugin]] to compare here'
    " what it would refuse with what happened."
)
PARTIAL = "Only the newest messages of the period were read."

# A domain, and the network of the client unless the domain is proven.
Identity = tuple[str, str]


class History(msgspec.Struct):
    """The messages of one sender; `stopped` were refused or deferred, the newest first."""

    stopped: list[Transaction] = []
    results: Counter[str] = msgspec.field(default_factory=Counter)
    standing: str = ""
    has_trap: bool = False

    def add(self, message: Transaction) -> None:
        """Add an older message."""
        result = outcome(message)
        self.results[result] += 1
        if result in STOPPED:
            self.stopped.append(message)
        self.standing = self.standing or standing_of(message)
        self.has_trap = self.has_trap or bool(message.traps)

    @property
    def is_good(self) -> bool:
        """Return whether the sender has a good history."""
        return self.standing != "" or (self.results["accepted"] >= GOOD and not self.has_trap)


def query(source: Source, filters: Filters) -> Shown:
    """Return the good senders of a period; raises `LedgerError`."""
    selection = Selection(since=filters.since, until=filters.until, kinds=["transaction"])
    records, is_complete = source.first(selection, MOST_READ)
    messages = [one for one in records if isinstance(one, Transaction)]
    good = good_of(messages)
    # The filters are about what was refused: a sender has one history with all recipients.
    matches = matcher(filters.selection(source.recorded))
    for one in good.values():
        one.stopped = [message for message in one.stopped if matches(message)]
    stopped = [one for history in good.values() for one in history.stopped]
    note = "" if is_complete else PARTIAL
    senders = _senders(good, filters, acts=source.scope.is_everything)
    tables = [
        Table("senders", "Good senders", SENDERS, senders, EMPTY, note),
        Table("messages", "Their messages", MESSAGES, _stopped(stopped, filters), EMPTY, note),
        Table("shadow", "Shadow mode", SHADOW, _shadow(messages, good), EMPTY_SHADOW, note),
    ]
    facts = {
        "senders": sum(bool(one.stopped) for one in good.values()),
        **{name: sum(outcome(one) == name for one in stopped) for name in STOPPED},
    }
    return Shown(tables, facts)


def histories_of(messages: Iterable[Transaction]) -> dict[Identity, History]:
    """Return the messages of each sender; bounces have none."""
    found: dict[Identity, History] = defaultdict(History)
    for one in messages:
        if one.sender:
            found[identity_of(one)].add(one)
    return found


def good_of(messages: Iterable[Transaction]) -> dict[Identity, History]:
    """Return the good senders of some messages, the newest first."""
    return {key: one for key, one in histories_of(messages).items() if one.is_good}


def identity_of(message: Transaction) -> Identity:
    """Return the domain of the sender, with the network if neither SPF nor DMARC has proven it."""
    domain = domain_of(canonical_address(message.sender))
    if "pass" in (result_of(message, "spf"), result_of(message, "dmarc")):
        return domain, ""
    return domain, network_of(message.client.address) or message.client.address


def _senders(good: Mapping[Identity, History], filters: Filters, *, acts: bool) -> list[Row]:
    found = [(identity, one) for identity, one in good.items() if one.stopped]
    order = sorted(found, key=lambda item: -item[1].stopped[0].time)
    return [_sender(*identity, one, filters, acts=acts) for identity, one in order[:TOP]]


def _sender(domain: str, network: str, history: History, filters: Filters, *, acts: bool) -> Row:
    last = history.stopped[0]
    values: list[Value] = [
        domain,
        network,
        history.standing or "-",
        *(history.results[name] for name in ("accepted", *STOPPED)),
        entry_of(last).reason,
        last.time,
    ]
    actions = sender_actions(q=network or domain) if acts else []
    return Row(values, filters.url("/find", sender=domain, ip=network), actions)


def _stopped(stopped: Iterable[Transaction], filters: Filters) -> list[Row]:
    order = sorted(stopped, key=lambda one: -one.time)
    return [row_of(one, filters) for one in order[:TOP]]


def _shadow(messages: Sequence[Transaction], good: Mapping[Identity, History]) -> list[Row]:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in messages:
        opinions = {
            (answer.by, answer.reason)
            for answer in one.answers
            if answer.shadow and answer.verdict != "accept" and not answer.allowed
        }
        for opinion in opinions:
            count = counts[opinion]
            count["would"] += 1
            count["accepted"] += one.result == "accepted"
            count["good"] += identity_of(one) in good
            count["otherwise"] += outcome(one) in STOPPED
    names = [column.name for column in SHADOW[2:]]
    order = sorted(counts.items(), key=lambda item: (-item[1]["would"], item[0]))
    return [_opinion(key, [count[name] for name in names]) for key, count in order[:TOP]]


def _opinion(key: tuple[str, str], counts: Sequence[int]) -> Row:
    by, reason = key
    return Row((by, reason or "-", *counts), Filters().url("/find", plugin=by, reason=reason))
