"""The record of changes of `gatepost allow`, in the log and in the ledger: by one worker."""

import asyncio
from functools import partial

from gatepost.allow.entry import Change
from gatepost.allow.file import AllowFile
from gatepost.ledger.limits import text
from gatepost.ledger.records import Notice
from gatepost.log.logger import get_logger
from gatepost.plugin.lifting import AllowSource
from gatepost.queue.recording import Keep

EVENTS = {
    "added": "allow entry added",
    "changed": "allow entry changed",
    "removed": "allow entry removed",
    "expired": "allow entry expired",
}

_log = get_logger("gatepost.allow")


def record_changes(allowed: AllowSource, keep: Keep | None) -> None:
    """Record the changes that this worker takes out of the file; call it in the event loop."""
    if isinstance(allowed, AllowFile):
        loop = asyncio.get_running_loop()
        allowed.report = lambda change: _call_in(loop, partial(_record, keep, change))


def _call_in(loop: asyncio.AbstractEventLoop, record: partial[None]) -> None:
    loop.call_soon_threadsafe(record)


def _record(keep: Keep | None, change: Change) -> None:
    event, detail = EVENTS[change.kind], text(str(change.entry))
    _log.info(event, user=text(change.by), detail=detail)
    if keep is not None:
        keep(Notice(change.at, event, detail, text(change.by)))
