"""The DNS tree walk and the organizational domain: RFC 9989 sections 4.10 and 4.10.2.

The names of a walk are known in advance, so they are asked at the same time. What is found above
the record that ends a walk is not used. Answers are kept, and several walks share them.

Limits: MOST_QUERIES questions for a walk. A name that is too long for the DNS is not asked.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatepost.mailauth.dmarc.record import Record, parse_record
from gatepost.net.questions import Answer, Check, Question, Status

MOST_QUERIES = 8

_PREFIX = "_dmarc."
_MAX_NAME = 253  # RFC 1035 s2.3.4, as text without the final dot


class Found(NamedTuple):
    """The answer for a domain: its record, None without exactly one.

    `number` is how many DMARC records there are, `status` that of the answer, `problem` the reason
    of a question that failed.
    """

    record: Record | None = None
    number: int = 0
    status: Status = "absent"
    problem: str = ""


class Walk(NamedTuple):
    """The result of a walk: the domains with a record, from the longest, and what is there.

    `problem` is why a question failed that was necessary, "" if none failed.
    """

    start: str
    records: Sequence[tuple[str, Record]]
    problem: str = ""

    @property
    def organizational_domain(self) -> str:
        """Return the organizational domain of the start; "" if it is not known."""
        if self.problem:
            return ""
        if not self.records:
            return self.start
        domain, record = self.records[-1]
        return domain if record.psd != "y" or domain == self.start else _below(self.start, domain)

    def record_at(self, domain: str) -> Record | None:
        """Return the record at a domain."""
        return dict(self.records).get(domain)


class Records:
    """The answers for domains so far; `notes` lists for people what was discarded."""

    def __init__(self) -> None:
        self._found: dict[str, Found] = {}
        self.notes: list[str] = []

    def __getitem__(self, domain: str) -> Found:
        return self._found[domain]

    def __contains__(self, domain: str) -> bool:
        return domain in self._found

    def ask(self, domains: Iterable[str]) -> Check[None]:
        """Ask for the records of the domains that have not been asked yet, at the same time."""
        new = [one for one in dict.fromkeys(domains) if one not in self._found]
        self._found.update((one, Found()) for one in new)
        short = [one for one in new if len(_PREFIX) + len(one) <= _MAX_NAME]
        if not short:
            return
        answers = yield [Question("TXT", record_name(one)) for one in short]
        for domain, answer in zip(short, answers, strict=True):
            self._found[domain] = self._read(record_name(domain), answer)

    def _read(self, name: str, answer: Answer) -> Found:
        if answer.status == "failed":
            return Found(status="failed", problem=f"TXT {name}: {answer.problem or 'no answer'}")
        records = [one for one in map(parse_record, answer.records) if one is not None]
        if len(records) > 1:
            self.notes.append(f"{name} has {len(records)} DMARC records: all are discarded")
        one = records[0] if len(records) == 1 else None
        return Found(one, len(records), answer.status)

    def walk(self, start: str) -> Check[Walk]:
        """Walk from a domain up to the root."""
        domains = walk_domains(start)
        yield from self.ask(domains)
        records = list[tuple[str, Record]]()
        for domain in domains:
            found = self._found[domain]
            if found.problem:
                return Walk(start, records, found.problem)
            if found.record is not None:
                records.append((domain, found.record))
                if found.record.psd != "u":
                    break
        return Walk(start, records)


def record_name(domain: str) -> str:
    """Return the name at which a domain publishes its record."""
    return _PREFIX + domain


def walk_domains(start: str) -> list[str]:
    """Return the domains of a walk: the start, then at most seven labels of it, one less each."""
    labels = start.split(".")
    first = max(1, len(labels) - (MOST_QUERIES - 1))
    return [start, *(".".join(labels[at:]) for at in range(first, len(labels)))]


def _below(start: str, suffix: str) -> str:
    """Return the domain one label below a public suffix, on the way to the start."""
    labels = start.split(".")
    return ".".join(labels[-(suffix.count(".") + 2) :])
