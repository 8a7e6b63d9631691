"""A queue that is created when it is first used.

Most servers deliver while the client waits, and need the queue only for mail that could not be
delivered to some recipients. Its modules, above all those of the spool and of DSNs, are a tenth of
the start of a worker. They are imported in a thread, so that the event loop does not wait.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.delivery.target import DeliveryError
from gatepost.model.message import Message
from gatepost.model.session import Hold, Recipient, Transaction
from gatepost.queue.dsn.notify import SuccessActions

if TYPE_CHECKING:
    from gatepost.queue.queue import Queue

MODULE = "gatepost.queue.queue"


class QueueOnDemand:
    """The queue that `make` returns; the methods are those of `Queue`."""

    def __init__(self, make: "Callable[[], Queue]") -> None:
        self._make = make
        self._made: Queue | None = None

    @property
    def paths(self) -> list[Path]:
        """The spool files that the queue owns."""
        return [] if self._made is None else self._made.paths

    async def start(self) -> None:
        """Start to deliver; see `Queue.start`."""
        await (await self._queue()).start()

    async def stop(self, patience: float) -> None:
        """Stop the queue, if it was used."""
        if self._made is not None:
            await self._made.stop(patience)

    async def put(
        self,
        tx: Transaction,
        recipients: Sequence[Recipient],
        message: Message,
        failures: Mapping[Recipient, DeliveryError] | None = None,
        *,
        hold: Hold | None = None,
    ) -> None:
        """Store a message for recipients; see `Queue.put`."""
        await (await self._queue()).put(tx, recipients, message, failures, hold=hold)

    async def report_successes(
        self, tx: Transaction, message: Message, successes: SuccessActions
    ) -> None:
        """Store the success DSNs of a message; see `Queue.report_successes`."""
        await (await self._queue()).report_successes(tx, message, successes)

    async def _queue(self) -> "Queue":
        if self._made is None:
            await asyncio.to_thread(import_module, MODULE)
        self._made = self._made or self._make()
        return self._made
