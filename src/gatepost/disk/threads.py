"""Waiting for a thread that must end before its caller continues, even if that is cancelled."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def run_to_end(work: asyncio.Future[Result], *, cancel: Callable[[], object]) -> Result:
    """Return the result of the work, or raise its error.

    When cancelled, call `cancel` and wait until the work has ended: the caller is about to close
    the files it reads.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        work.exception()  # mark it as retrieved: the caller gets the cancellation instead
        raise
