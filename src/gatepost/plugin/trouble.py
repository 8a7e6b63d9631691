"""The log lines about plugins: failures, slow methods, and decisions without effect.

Each line has the reference that the client's reply ends with, and the client.
Limits: one line a minute about a slow method; the next one counts the others.
"""

import time
from collections.abc import Sequence
from typing import Any

from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.model.decision import Decision
from gatepost.model.facts import keep
from gatepost.model.session import MOST_OPINIONS, Opinion, Session, Transaction
from gatepost.plugin.failure import UnavailableError, client_of
from gatepost.tables.table import TableError

_log = get_logger("gatepost.plugin")

_MINUTE = 60.0
# By plugins and method: when the next line may come, and how many were left out.
_slow: dict[tuple[tuple[str, ...], str], tuple[float, int]] = {}


def failed(plugin: str, method: str, error: BaseException, args: tuple[Any, ...]) -> None:
    """Log a method that raised, returned something wrong or missed its deadline.

    A plugin that raises `UnavailableError` has logged the outage itself, and so has a table.
    """
    if isinstance(error, UnavailableError | TableError):
        return
    trace = format_traceback(error)
    _log.error("plugin failed", plugin=plugin, method=method, exception=trace, **client_of(args))


def slow(plugins: Sequence[str], method: str, seconds: float, args: tuple[Any, ...]) -> None:
    """Log a slow method. Of several plugins that ran in one go only the sum is known."""
    key, now = (tuple(plugins), method), time.monotonic()
    due, omitted = _slow.get(key, (0.0, 0))
    if now < due:
        _slow[key] = due, omitted + 1
        return
    _slow[key] = now + _MINUTE, 0
    names = ", ".join(dict.fromkeys(plugins))
    fields = {"plugin": names, "method": method, "seconds": round(seconds, 3)}
    more = {"omitted": omitted} if omitted else {}
    _log.warning("plugin slow", **fields, **more, **client_of(args))


def _keep_opinion(fact: Session | Transaction, opinion: Opinion) -> None:
    if len(fact.opinions) < MOST_OPINIONS:
        keep(fact, "opinions", opinion)


def without_effect(
    plugin: str, method: str, decision: Decision, args: tuple[Any, ...], allowed: str = ""
) -> None:
    """Keep what a plugin would have decided; log it outside of transactions.

    It is in shadow mode, or `allowed` is the entry of `gatepost allow`. The line of a transaction
    has it.
    """
    subject = args[0] if args else None
    if isinstance(subject, Session | Transaction):
        _keep_opinion(subject, Opinion(method, plugin, decision, allowed))
    if isinstance(subject, Transaction):
        return
    fields = {"plugin": plugin, "method": method, "verdict": decision.verdict.value}
    more = {"code": decision.code, "allowed": allowed}
    known = {name: value for name, value in more.items() if value}
    _log.info("plugin would decide", **fields, **known, reason=decision.reason, **client_of(args))
