"""Stores the files of one delivery in a thread: all of them, or none.

A cancelled delivery is undone, unless its files are already being moved into place. In both cases
the message is no longer read when the cancellation gets through.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from gatepost.delivery.content import NOT_STORED
from gatepost.delivery.disk_order import DiskOrder
from gatepost.delivery.target import DeliveryError
from gatepost.disk.batch import FileBatch
from gatepost.disk.threads import run_to_end

Result = TypeVar("Result")


async def store_files(
    scheme: str,
    write: Callable[[FileBatch], Result],
    order: DiskOrder,
    *,
    first: bool,
    executor: Executor | None = None,
) -> Result:
    """Run `write`, which writes files, then move them into place; return its result.

    `scheme` names the target in the log. `order` admits the delivery to the disk; `first` is
    whether it is the first message of its connection. `executor` provides the thread (None: the
    event loop's default). Raise `DeliveryError`, always temporary, for an OSError, and any error of
    `write`.
    """
    cancelled = threading.Event()
    loop = asyncio.get_running_loop()
    async with order.slot(first=first):
        work = loop.run_in_executor(executor, _store_files, scheme, write, cancelled)
        return await run_to_end(work, cancel=cancelled.set)


def _store_files(
    scheme: str, write: Callable[[FileBatch], Result], cancelled: threading.Event
) -> Result:
    copies = FileBatch()
    try:
        result = write(copies)
        _check_not_cancelled(scheme, cancelled)
        copies.move()
    except OSError as error:
        raise not_stored(scheme, "; ".join([str(error), *copies.remove_all()])) from error
    except BaseException:
        copies.remove_all()
        raise
    return result


def _check_not_cancelled(scheme: str, cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise not_stored(scheme, "cancelled before the message was in place")


def not_stored(scheme: str, detail: str) -> DeliveryError:
    """Return the temporary error for a message that cannot be stored now."""
    return DeliveryError(NOT_STORED, detail=f"{scheme}: {detail}")
