"""The log of transactions: one line for each, made from its record.

It is compiled. The recorder of the log (`gatepost.session.log`) is not, because programs may derive
from it.
"""

from typing import Any

from gatepost.ledger.records import Transaction
from gatepost.log.struct_log import StructLog
from gatepost.session.log_budget import LogBudget
from gatepost.session.log_line import line_of, peer_of


class TransactionLog:
    """Logs each transaction in one line, as far as the budget allows."""

    __slots__ = ("_budget", "_log")

    def __init__(self, log: StructLog, budget: LogBudget) -> None:
        self._log = log
        self._budget = budget

    def record(self, record: Any) -> None:
        """Log a transaction; other records have no line."""
        if type(record) is not Transaction:
            return
        if record.result != "accepted":
            if not self._budget.allows(record.session):
                return
        elif self._budget.spent:
            self._budget.end(record.session, peer_of(record.client))
        self._log.info(line_of(record))
