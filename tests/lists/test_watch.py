"""The file watcher: in its own thread, and robust against failing files and callbacks."""

import asyncio
import threading
from pathlib import Path

from gatepost.lists.reloadable import FileChange
from gatepost.lists.watch import INTERVAL, FileWatcher

PATH = Path("traps")


class File:
    path = PATH

    def __init__(self, *results):
        self.results = list(results)
        self.threads = set()
        self.closed = False

    def refresh(self):
        self.threads.add(threading.current_thread())
        result = self.results.pop(0) if self.results else None
        if isinstance(result, Exception):
            raise result
        return result

    def close(self):
        self.closed = True


class Rounds:
    """A clock that allows a number of rounds and then blocks."""

    def __init__(self, rounds):
        self.left = rounds
        self.waits = []
        self.over = asyncio.Event()

    async def sleep(self, seconds):
        self.waits.append(seconds)
        if not self.left:
            self.over.set()
            await asyncio.Event().wait()
        self.left -= 1


async def watch(rounds, on_change, *files, **options):
    clock = Rounds(rounds)
    watcher = FileWatcher(files, on_change, sleep=clock.sleep, **options)
    watcher.start()
    await clock.over.wait()
    await watcher.stop()
    return clock


def test_changes_are_reported_on_the_event_loop():
    first, second = FileChange(PATH, 1), FileChange(PATH, 2)
    one, two = File(None, first), File(second)
    reported = []
    note = lambda change: reported.append((change, threading.current_thread()))  # noqa: E731
    clock = asyncio.run(watch(3, note, one, two))
    here = threading.current_thread()
    assert reported == [(second, here), (first, here)]
    assert clock.waits == [INTERVAL] * 4
    assert here not in one.threads | two.threads
    assert len(one.threads | two.threads) == 1
    assert one.closed
    assert two.closed


def test_the_interval_is_configurable():
    clock = asyncio.run(watch(1, print, File(), interval=7.0))
    assert clock.waits == [7.0, 7.0]


def test_a_file_that_raises_does_not_affect_others():
    reported = []
    after = FileChange(PATH, 3)
    asyncio.run(watch(2, reported.append, File(ValueError("odd"), after), File()))
    assert reported == [
        FileChange(PATH, 0, problem="traps: refresh failed: ValueError('odd')"),
        after,
    ]


def test_a_callback_that_raises_does_not_stop_the_watcher():
    reported, handled = [], []

    def fail(change):
        reported.append(change)
        raise RuntimeError("callback")

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: handled.append(str(context["exception"])))
        await watch(2, fail, File(FileChange(PATH, 1), FileChange(PATH, 2)))

    asyncio.run(run())
    assert [change.entries for change in reported] == [1, 2]
    assert handled == ["callback", "callback"]


def test_stopping_before_starting_closes_the_files():
    file = File()
    asyncio.run(FileWatcher([file], print).stop())
    assert file.closed
