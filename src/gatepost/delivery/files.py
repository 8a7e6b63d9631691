"""Files of one delivery, stored in a thread: all of them, or none.

A delivery that is cancelled is taken back unless its files are being moved already; either way the
message is no longer read once the cancellation gets through.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from gatepost.delivery.content import TRY_AGAIN
from gatepost.delivery.target import DeliveryError
from gatepost.disk.batch import FileBatch
from gatepost.disk.threads import run_to_end

Result = TypeVar("Result")


async def store(
    kind: str, write: Callable[[FileBatch], Result], executor: Executor | None = None
) -> Result:
    """Let `write` write files, then move them into place; return what it returned.

    `kind` is the target's for the log, `executor` has the thread (None: the event loop's own).
    Raises `DeliveryError`, always temporary, for an OSError, and what else `write` raises.
    """
    cancelled = threading.Event()
    loop = asyncio.get_running_loop()
    work = loop.run_in_executor(executor, _store, kind, write, cancelled)
    return await run_to_end(work, cancel=cancelled.set)


def _store(kind: str, write: Callable[[FileBatch], Result], cancelled: threading.Event) -> Result:
    copies = FileBatch()
    try:
        result = write(copies)
        _still_wanted(kind, cancelled)
        copies.move()
    except OSError as error:
        raise not_stored(kind, "; ".join([str(error), *copies.remove_all()])) from error
    except BaseException:
        copies.remove_all()
        raise
    return result


def _still_wanted(kind: str, cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise not_stored(kind, "cancelled before the message was in place")


def not_stored(kind: str, detail: str) -> DeliveryError:
    """Return the error for a message that this system has no place for now."""
    return DeliveryError(TRY_AGAIN, detail=f"{kind}: {detail}")
