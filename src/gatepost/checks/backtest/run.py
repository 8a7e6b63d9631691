"""The back-test: read the logs once, in the order of time, and collect what the rules would do."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from gatepost.checks.backtest.evidence import Witnesses
from gatepost.checks.backtest.findings import Collector, Findings
from gatepost.checks.backtest.recipients import Directory
from gatepost.checks.backtest.rules import Rules
from gatepost.checks.backtest.standing import Correspondents
from gatepost.importers.reading import LogReader
from gatepost.importers.transaction import Ending, Transaction
from gatepost.lists.providers import load_providers
from gatepost.traps.memory import DAY

Progress = Callable[[int], None]


class BackTest:
    """A back-test of the rules; `top` limits the lists of networks, senders and replies."""

    def __init__(self, directory: Directory, top: int = 10) -> None:
        self._directory = directory
        self._correspondents = Correspondents()
        self._rules = Rules(load_providers(), self._correspondents)
        self._witnesses = Witnesses(self._correspondents)
        self._collector = Collector(network_of)
        self._top = top

    def add(self, transaction: Transaction, since: float = 0.0) -> None:
        """Apply the rules to the next transaction; one before `since` only teaches the memory."""
        asked = self._directory.look_up(transaction)
        hits = self._rules.judge(transaction, asked)
        self._correspondents.see(transaction)
        if transaction.time >= since:
            collector = self._collector
            collector.count(transaction, len(asked.unknown))
            collector.hit(transaction, hits)
            if hits and transaction.ending is Ending.ACCEPTED:
                rules = [hit.rule for hit in hits]
                collector.touch(self._witnesses.touched(transaction, rules))
        self._witnesses.see(transaction, is_hit=bool(hits))

    def findings(self, reader: LogReader) -> Findings:
        """Return what was found."""
        collector = self._collector
        examples = collector.finish()
        return Findings(
            since=collector.first,
            until=collector.last,
            log=reader.counts,
            totals=collector.totals,
            rules={rule.value: totals for rule, totals in collector.rules.items()},
            examples=examples,
            networks=collector.networks.top(self._top),
            senders=collector.senders.top(self._top),
            replies=collector.replies.top(self._top),
            without_evidence=self._witnesses.dropped,
        )


def run(
    paths: Sequence[Path],
    directory: Directory,
    *,
    name: str | None,
    days: int | None,
    top: int,
    progress: Progress,
) -> Findings:
    """Return what the rules would have done with the mail in log files.

    `days` limits the report to the last days of the log; the log is then read twice, and what came
    before only teaches the memory. Raises OSError and `UnknownFormatError`.
    """
    since = 0.0
    if days is not None:
        ends = (one.ended for one in LogReader(paths, name).transactions(progress))
        since = max(ends, default=0.0) - days * DAY
    test, reader = BackTest(directory, top), LogReader(paths, name)
    for transaction in reader.transactions(progress):
        test.add(transaction, since)
    return test.findings(reader)


def network_of(client: str) -> str:
    """Return the network of a client for a report: a /24 of IPv4, a /48 of IPv6."""
    try:
        address = ip_address(client)
    except ValueError:
        return client[:60] or "unknown"
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
