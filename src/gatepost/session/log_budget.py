"""The number of refusals that get a line in the log: a limit for each session, one for all.

A transaction that is not accepted counts as a refusal.

Theory of operation: a session may fill PER_SESSION lines. An accepted message gives the session its
lines back, as it does with `limits.errors`. All sessions of a worker may fill PER_MINUTE lines in a
minute. Refusals without a line are counted, and the count is logged: that of a session with its
next accepted message or its end, that of all with the first refusal of a later minute.

Security: a refusal costs the client a few octets and the server a line of up to some KB. Without a
limit, clients could fill the disk.
"""

from collections.abc import Callable
from typing import Any

PER_SESSION = 50
PER_MINUTE = 6000

_MINUTE = 60.0


class LogBudget:
    """The lines that are left; `spent` has the refusals of each session.

    `log` gets the counts of refusals without a line; `time` returns seconds.
    """

    __slots__ = ("_ends", "_left", "_log", "_omitted", "_time", "spent")

    def __init__(self, log: Any, time: Callable[[], float]) -> None:
        self._log = log
        self._time = time
        self._ends = 0.0
        self._left = PER_MINUTE
        self._omitted = 0
        self.spent: dict[str, int] = {}

    def allows(self, session: str) -> bool:
        """Count a refusal; return whether it gets a line.

        `session` is the id of its session. It is "" if there is none, which ends with the refusal.
        """
        now = self._time()
        if not self._ends - _MINUTE <= now < self._ends:
            self._begin_minute(now)
        if session:
            spent = self.spent[session] = self.spent.get(session, 0) + 1
            if spent > PER_SESSION:
                return False
        if not self._left:
            self._omitted += 1
            return False
        self._left -= 1
        return True

    def _begin_minute(self, now: float) -> None:
        omitted, self._omitted = self._omitted, 0
        self._left, self._ends = PER_MINUTE, now + _MINUTE
        if omitted:
            self._log.warning("refusals not logged", count=omitted)

    def end(self, session: str, peer: str) -> None:
        """Give the session its lines back; log how many it lacked."""
        omitted = max(0, self.spent.pop(session, 0) - PER_SESSION)
        if omitted:
            self._log.warning("refusals not logged", count=omitted, ref=session, peer=peer)
