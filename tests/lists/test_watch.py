"""The watcher: off the loop, round after round, whatever a file or a listener does."""

import asyncio
import threading
from pathlib import Path

from gatepost.lists.reloadable import FileChange
from gatepost.lists.watch import INTERVAL, FileWatcher

PATH = Path("traps")


class File:
    path = PATH

    def __init__(self, *answers):
        self.answers = list(answers)
        self.threads = set()
        self.closed = False

    def refresh(self):
        self.threads.add(threading.current_thread())
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


class Rounds:
    """A clock that lets so many rounds pass and then none."""

    def __init__(self, rounds):
        self.left = rounds
        self.asked = []
        self.over = asyncio.Event()

    async def sleep(self, seconds):
        self.asked.append(seconds)
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


def test_changes_are_told_on_the_loop():
    first, second = FileChange(PATH, 1), FileChange(PATH, 2)
    one, two = File(None, first), File(second)
    told = []
    note = lambda change: told.append((change, threading.current_thread()))  # noqa: E731
    clock = asyncio.run(watch(3, note, one, two))
    here = threading.current_thread()
    assert told == [(second, here), (first, here)]
    assert clock.asked == [INTERVAL] * 4
    assert here not in one.threads | two.threads
    assert len(one.threads | two.threads) == 1
    assert one.closed
    assert two.closed


def test_the_interval():
    clock = asyncio.run(watch(1, print, File(), interval=7.0))
    assert clock.asked == [7.0, 7.0]


def test_a_file_that_raises_is_a_problem_of_its_own():
    told = []
    after = FileChange(PATH, 3)
    asyncio.run(watch(2, told.append, File(ValueError("odd"), after), File()))
    assert told == [
        FileChange(PATH, 0, problem="traps: refresh failed: ValueError('odd')"),
        after,
    ]


def test_a_listener_that_raises_does_not_end_the_watch():
    told, handled = [], []

    def listen(change):
        told.append(change)
        raise RuntimeError("listener")

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: handled.append(str(context["exception"])))
        await watch(2, listen, File(FileChange(PATH, 1), FileChange(PATH, 2)))

    asyncio.run(run())
    assert [change.entries for change in told] == [1, 2]
    assert handled == ["listener", "listener"]


def test_stopping_what_was_not_started():
    file = File()
    asyncio.run(FileWatcher([file], print).stop())
    assert file.closed
