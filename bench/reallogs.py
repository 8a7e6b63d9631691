"""The trap rules on real mail, as tables of events that others published.

    python -m bench.reallogs PATH

PATH is a folder with one or both of these tables, which are not part of this repository because of
their licences:

- `ddgrey-exim-2020/transactions.jsonl`: the transactions of nine hours of an Exim log, made from
  `mainlog` of github.com/perericr/ddgrey (GPL-3.0-or-later). Local parts are hashes, so those of
  the class `message-id` get a local part of that form here.
- `phishing-pot-memory/messages.csv.gz`: the time, network and domain of 7,711 phishing messages,
  made from the headers of github.com/rf-peixoto/phishing_pot (CC BY-NC 4.0).

Each figure is printed with the expected one. The exit status is 1 if one differs.
"""

from __future__ import annotations

import csv
import gzip
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gatepost.checks.backtest.recipients import Directory
from gatepost.checks.backtest.rules import Hit, Rule, Rules
from gatepost.checks.backtest.standing import Correspondents
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict
from gatepost.lists.providers import load_providers
from gatepost.traps.memory import DAY, Lifetimes, TrapMemory, domain_key_of, network_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LOG = Path("ddgrey-exim-2020/transactions.jsonl")
PHISHING = Path("phishing-pot-memory/messages.csv.gz")

_STATUSES = {"550 unknown": Status.UNKNOWN, "250": Status.ACCEPTED}


class Figure(NamedTuple):
    """A measured figure and the expected one."""

    name: str
    found: float
    expected: float

    def __str__(self) -> str:
        form = ".1f" if self.name.endswith("%") else ",d"
        mark = "" if self.found == self.expected else f"   expected {self.expected:{form}}"
        return f"{self.name:<52} {self.found:>6{form}}{mark}"


# The log: expected figures by name.
LOG_EXPECTED = {
    "transactions with many unknown recipients": 13,
    "unknown recipients in them": 1144,
    "spam accepted by the content filter": 8,
    "  of it marked by the memory": 8,
    "legitimate messages accepted": 14,
    "  of them refused or marked by any rule": 0,
}
# Percent of messages with an earlier one of the same key within 1, 7 and 30 days.
_ALL, _SMALL = "all", "without big providers"
PHISHING_EXPECTED: Mapping[tuple[str, str], tuple[float, float, float]] = {
    (_ALL, "host"): (8.9, 21.0, 28.5),
    (_ALL, "network"): (26.6, 44.6, 53.5),
    (_ALL, "domain"): (20.6, 33.7, 38.3),
    (_ALL, "network or domain"): (36.2, 57.3, 66.0),
    (_ALL, "network and domain"): (11.0, 21.0, 25.8),
    (_SMALL, "host"): (8.9, 18.4, 23.9),
    (_SMALL, "network"): (20.4, 35.4, 42.0),
    (_SMALL, "domain"): (19.5, 35.1, 41.0),
    (_SMALL, "network or domain"): (31.4, 51.9, 58.9),
    (_SMALL, "network and domain"): (8.5, 18.6, 24.1),
}
DAYS = (1, 7, 30)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the tables that exist; return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    folder = Path(given[0]) if len(given) == 1 else None
    if folder is None or not any((folder / one).exists() for one in (LOG, PHISHING)):
        print(f"usage: python -m bench.reallogs PATH, a folder with {LOG} or {PHISHING}")
        return 2
    figures = [*measure_log(folder / LOG), *measure_phishing(folder / PHISHING)]
    for one in figures:
        print(one)
    return 0 if all(one.found == one.expected for one in figures) else 1


def measure_log(path: Path) -> list[Figure]:
    """Return the figures of the log; none if it is missing."""
    if not path.exists():
        return []
    directory, rules = Directory(), Rules(load_providers(), Correspondents())
    counts = dict.fromkeys(LOG_EXPECTED, 0)
    for line in path.read_bytes().splitlines():
        row = msgspec.json.decode(line)
        transaction = as_transaction(row)
        asked = directory.look_up(transaction)
        hits = rules.judge(transaction, asked)
        _count(counts, row.get("label", ""), transaction, hits)
    return [Figure(name, counts[name], expected) for name, expected in LOG_EXPECTED.items()]


def _count(
    counts: dict[str, int], label: str, transaction: Transaction, hits: Sequence[Hit]
) -> None:
    many, unknown, spam, marked, legitimate, touched = LOG_EXPECTED
    for hit in hits:
        if hit.rule is Rule.MANY_UNKNOWN:
            counts[many] += 1
            counts[unknown] += hit.recipients
    if transaction.ending is Ending.ACCEPTED:
        is_spam = label == "spam"
        counts[spam if is_spam else legitimate] += 1
        is_marked = any(hit.rule is Rule.MARKING for hit in hits)
        counts[marked if is_spam else touched] += is_marked if is_spam else bool(hits)


def as_transaction(row: Mapping[str, Any]) -> Transaction:
    """Return a row of the table as a transaction."""
    sender = row["sender"]
    found = Transaction(
        float(row["t"]),
        client=row["client"],
        sender=f"{sender['local']}@{sender['domain']}",
        dkim=[sender["domain"]] if row.get("dkim_pass") else [],
    )
    for one in row["rcpts"]:
        status = _STATUSES.get(one["reply"], Status.REFUSED)
        found.add(f"{_local(one)}@{one['domain']}", status, one["reply"])
    result = row.get("result", "")
    if result == "accepted":
        found.verdict = Verdict.CLEAN
        return found.end(found.time, Ending.ACCEPTED)
    found.verdict = Verdict.SPAM if result else Verdict.NONE
    return found.end(found.time, Ending.REFUSED)


def _local(recipient: Mapping[str, str]) -> str:
    """Return the hash of a local part, in the form that the local part had."""
    digits = recipient["local"]
    return f"{digits[:4]}.4d{digits[4:]}" if recipient["class"] == "message-id" else digits


class Message(NamedTuple):
    """A phishing message: its time in seconds, and the keys of the memory for it."""

    time: float
    keys: Mapping[str, list[str]]
    big: bool


def measure_phishing(path: Path) -> list[Figure]:
    """Return the figures of the phishing messages; none if they are missing."""
    if not path.exists():
        return []
    messages = list(_messages(path))
    subsets = {_ALL: messages, _SMALL: [one for one in messages if not one.big]}
    return [
        Figure(f"{subset}: {kind}, {days} d, %", _share(subsets[subset], kind, days), percent)
        for (subset, kind), row in PHISHING_EXPECTED.items()
        for days, percent in zip(DAYS, row, strict=True)
    ]


def _messages(path: Path) -> Iterator[Message]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            number = int(row["network"])
            domain = [] if row["freemail"] == "1" else [domain_key_of(row["sender_domain"])]
            keys = {
                "host": [f"h{row['host']}"],
                "network": list(network_keys(IPv4Address(number << 8))),
                "domain": domain,
            }
            yield Message(float(row["hours"]) * 3600, keys, row["big_provider"] == "1")


def _share(messages: Iterable[Message], kind: str, days: int) -> float:
    """Return the percentage of messages that the memory recognises, to the tenth."""
    memory = TrapMemory(Lifetimes(marking=days * DAY, refusing=DAY))
    first, _, second = kind.partition(" or " if " or " in kind else " and ")
    kinds = [one for one in (first, second) if one]
    known = total = 0
    for one in messages:
        memory.expire(one.time)
        recalled = [memory.recall(one.time, one.keys[name]).marks for name in kinds]
        known += all(recalled) if " and " in kind else any(recalled)
        total += 1
        for name in kinds:
            memory.remember(one.time, one.keys[name])
    return round(100 * known / total, 1)


if __name__ == "__main__":
    sys.exit(main())
