"""The start and the stop of plugins, as a check: `gatepost check --start`.

Theory of operation: the plugins are started one after the other in the event loop of a thread, and
stopped in the reverse order. A method that does not return blocks the loop of the thread, but not
the report, which has the line where the method hangs.

Limits: each method has TIMEOUT seconds. After a method that blocks, nothing else is called.
"""

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from gatepost.net.cached_resolver import CachedResolver
from gatepost.plugin.base import Plugin
from gatepost.plugin.failure import describe, location_of
from gatepost.plugin.host import PluginHost

TIMEOUT = 30.0
# Seconds that a method which can be cancelled has to end, before it counts as one that blocks.
GRACE = 2.0


def start_problems(plugins: PluginHost, resolver: CachedResolver) -> Iterator[str]:
    """Start and stop the plugins; yield a sentence for each failure. Closes the resolver."""
    starts = _Starts([one.plugin for one in plugins.installed], resolver)
    thread = threading.Thread(target=starts.run, name="start of plugins", daemon=True)
    thread.start()
    while True:
        try:
            problem = starts.results.get(timeout=TIMEOUT + GRACE)
        except Empty:
            yield f"{starts.step} blocks: {_location(thread)}"
            return
        if problem is None:
            return
        if problem:
            yield problem


class _Starts:
    """Calls the methods. `results` has a problem or "" for each, and None at the end."""

    def __init__(self, plugins: list[Plugin], resolver: CachedResolver) -> None:
        self._plugins = plugins
        self._resolver = resolver
        self.step = ""
        self.results: SimpleQueue[str | None] = SimpleQueue()

    def run(self) -> None:
        """Run in the thread."""
        try:
            asyncio.run(self._run())
        finally:
            self.results.put(None)

    async def _run(self) -> None:
        started = [one for one in self._plugins if await self._call(one, one.start)]
        for plugin in reversed(started):
            await self._call(plugin, plugin.stop)
        for plugin in self._plugins:
            await plugin.background_jobs.stop(plugin.name)
        await self._resolver.close()

    async def _call(self, plugin: Plugin, method: Callable[[], Any]) -> bool:
        """Call start or stop; return whether it succeeded."""
        self.step = f"plugin {plugin.name}: {method.__name__}()"
        problem = await self._problem(method)
        self.results.put(f"{self.step} {problem}" if problem else "")
        return not problem

    async def _problem(self, method: Callable[[], Any]) -> str:
        task = asyncio.create_task(_awaited(method))
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=TIMEOUT)
        if not task.done():
            place = location_of(_waiting(task))
            task.cancel()
            await asyncio.wait({task})
            return f"has not returned within {TIMEOUT:g} s: {place}"
        if task.cancelled():
            return "was cancelled"
        error = task.result()
        return "" if error is None else f"failed: {describe(error)}"


async def _awaited(method: Callable[[], Any]) -> BaseException | None:
    """Return the failure of a method; SystemExit must not end the event loop."""
    try:
        result = method()
        if inspect.isawaitable(result):
            await result
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the result of the check
        return error
    return None


def _waiting(task: asyncio.Task[Any]) -> list[tuple[str, int]]:
    """Return the files and lines at which the coroutines of a task wait, the outermost first."""
    found: list[tuple[str, int]] = []
    waiting: Any = task.get_coro()
    while frame := getattr(waiting, "cr_frame", None):
        found.append((frame.f_code.co_filename, frame.f_lineno))
        waiting = getattr(waiting, "cr_await", None)
    return found


def _location(thread: threading.Thread) -> str:
    """Return the innermost line of a plugin that a thread runs."""
    found, frame = [], sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return location_of(found[::-1])
