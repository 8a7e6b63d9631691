"""The threads of one plugin, for methods that block.

Each plugin has threads of its own: a plugin whose calls hang delays neither deliveries nor another
plugin. A call whose session has stopped waiting keeps its thread until the method returns.

Limits: `most` threads, started when needed, and WAITING calls that wait for one; more fail at once.
The threads are daemons: one that hangs does not keep the process from ending.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

DEFAULT_THREADS = 4
# Sessions that wait for a thread. With this many the plugin is far too slow for its load.
WAITING = 256

_Call = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class ThreadsBusyError(Exception):
    """All threads of the plugin are busy, and too many calls wait already."""


class PluginThreads:
    """Runs calls in threads; `name` is the plugin's."""

    def __init__(self, name: str, most: int = DEFAULT_THREADS) -> None:
        self._name = name
        self._most = most
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._started = 0

    def call(self, method: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """Return the future result of a call; raises `ThreadsBusyError`."""
        with self._lock:
            if self._pending >= self._most + WAITING:
                raise ThreadsBusyError(
                    f"all {self._most} threads of the plugin are busy and {WAITING} calls wait"
                )
            self._pending += 1
            if self._started < min(self._most, self._pending):
                self._started += 1
                name = f"plugin {self._name} {self._started}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        future: Future[Any] = Future()
        self._calls.put((future, method, args))
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """End the threads as soon as their calls have ended."""
        for _ in range(self._started):
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            _perform(*call)
            with self._lock:
                self._pending -= 1


def _perform(future: "Future[Any]", method: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return  # nothing waits for the result any more
    try:
        result = method(*args)
    except StopIteration as error:  # a future cannot pass it on
        future.set_exception(RuntimeError(f"the method raised {error!r}"))
    except BaseException as error:  # noqa: BLE001 - the caller of the method handles it
        future.set_exception(error)
    else:
        future.set_result(result)
