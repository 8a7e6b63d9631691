"""Work in a thread that must have ended before its caller goes on, even where that is cancelled."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def settled(work: asyncio.Future[Result], *, cancel: Callable[[], object]) -> Result:
    """Return what the work does, or raise what it raises.

    Cancelled, tell the work by `cancel` and wait for its end: the caller is about to close what it
    reads.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        work.exception()  # seen: the cancellation is what the caller hears of
        raise
