"""The plugins in shadow mode, and what they would have decided: from the totals of the ledger.

Limits: the last DAYS days, as the ledger counts them by hour; MOST reasons of a plugin are named.
"""

import time
from collections.abc import Iterator, Mapping

from gatepost.config.schema import Config
from gatepost.ledger.store import LedgerError, LedgerReader
from gatepost.session.setup import Setup

DAYS = 7
MOST = 3
NO_LEDGER = "no ledger yet"


def shadow_lines(config: Config, setup: Setup, now: float | None = None) -> Iterator[str]:
    """Yield a line for the traps and for each plugin in shadow mode; `now` is in seconds."""
    plugins = [one.plugin.name for one in setup.plugins.installed if one.shadow]
    traps = config.traps.action == "shadow" and bool(config.traps.lists)
    if not plugins and not traps:
        return
    found = _counts(config, time.time() if now is None else now)
    if traps:
        yield f"traps: {_traps(found)}"
    for plugin in plugins:
        yield f"{plugin}: {_decisions(plugin, found)}"


def _counts(config: Config, now: float) -> Mapping[str, Mapping[str, int]] | None:
    """Return the totals by dimension, None without a ledger that can be read."""
    try:
        return LedgerReader(config.data_dir / "ledger").totals(now - DAYS * 86400, 0).counts
    except (LedgerError, OSError):
        return None


def _traps(found: Mapping[str, Mapping[str, int]] | None) -> str:
    if found is None:
        return NO_LEDGER
    count = found.get("result", {}).get("shadowed", 0)
    return f"would have refused {_number(count, 'message')} in {DAYS} days"


def _decisions(plugin: str, found: Mapping[str, Mapping[str, int]] | None) -> str:
    """Return how often a plugin would have refused or deferred, and why."""
    if found is None:
        return NO_LEDGER
    reasons = {
        key.partition(" ")[2]: count
        for key, count in found.get("shadow_reason", {}).items()
        if key.partition(" ")[0] == plugin
    }
    total = sum(reasons.values())
    if not total:
        return f"would have refused or deferred nothing in {DAYS} days"
    largest = sorted(reasons.items(), key=lambda item: -item[1])[:MOST]
    named = ", ".join(f"{reason or 'without a reason'} {count}" for reason, count in largest)
    return f"would have refused or deferred {_number(total, 'time')} in {DAYS} days ({named})"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)
