"""Waiting for what another process, thread or task does: a test polls, with one limit for all."""

import asyncio
import time

PATIENCE = 60.0  # seconds for anything to happen on a busy machine
POLL = 0.01


def eventually(condition):
    """Poll until `condition()` is true; return its value."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {condition}"
        time.sleep(POLL)
    return found


async def until(condition):
    """Run the event loop until `condition()` is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
