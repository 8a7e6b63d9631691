"""The thread that counts what users with a scope see, so that their pages need not.

It also reads the totals of segments that pages show, so that a long period need not open all files.

The newest segment comes first, then the older ones. Records are counted once: of the newest
segment, a round counts what has come since the last. The thread rests RESTS times as long as it has
worked: other threads of Python wait while it works. While a request runs, it rests longer.

Limits: a round counts STEP records of a segment, then looks for newer ones. Scopes that no user and
no token has are removed.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from gatepost.ledger.store import LedgerError, LedgerReader
from gatepost.ledger.store.cells import CellCache
from gatepost.ledger.store.errors import is_storage
from gatepost.ledger.store.files import File, identity_of
from gatepost.log.logger import get_logger
from gatepost.web.counts.file import CountsFile, Progress
from gatepost.web.counts.segment import TOGETHER, ScopeTally, Step, state_of
from gatepost.web.scope import Scope

STEP = 20_000
# The dimensions whose counts pages read by hour, and those whose sums they read.
IN_CELLS = ("result", "end", "reason", "shadow_reason")
IN_SUMS = ("trap", "trap_network", "dmarc")
# Seconds between two rounds without work.
EVERY = 5.0
# By whether a request is running.
RESTS = {False: 1, True: 4}

_log = get_logger("gatepost.web")


T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - no error
    """The thread must end."""


class _Reached(NamedTuple):
    """The last record that was counted, 0 without any, and whether there are no more."""

    last: int
    is_end: bool


class ScopeCounter:
    """Counts the records in `folder` for the scopes that `scopes` returns.

    `is_busy` returns whether a request waits for its result.
    """

    def __init__(
        self,
        folder: Path,
        file: CountsFile,
        scopes: Callable[[], Collection[Scope]],
        is_busy: Callable[[], bool],
        cache: CellCache,
    ) -> None:
        self._folder = folder
        self._file = file
        self._scopes = scopes
        self._is_busy = is_busy
        self._cache = cache
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gatepost-counts", daemon=True)
        self._problem = ""
        self._read: frozenset[File] = frozenset()
        self._there: tuple[frozenset[Scope], frozenset[int]] | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                has_more = self.work()
            except Stopped:
                return
            if not has_more:
                self._stop.wait(EVERY)

    def work(self) -> bool:
        """Do one round; return whether there is more to count."""
        try:
            has_more = self._round()
        except (sqlite3.Error, OSError, LedgerError) as error:
            self._report(error)
            return False
        self._problem = ""
        return has_more

    def _report(self, error: Exception) -> None:
        """Log a problem once; a damaged file is removed."""
        if isinstance(error, sqlite3.Error) and not is_storage(error):
            self._file.remove()
        if str(error) != self._problem:
            self._problem = str(error)
            _log.warning("dashboard counts not written", problem=self._problem)

    def _round(self) -> bool:
        scopes = [one for one in dict.fromkeys(self._scopes()) if not one.is_everything]
        reader = LedgerReader(self._folder, cache=self._cache)
        files = reader.segments()[::-1]
        self._drop_others(scopes, files)
        known = {scope: self._file.read(scope).progress for scope in scopes}
        for file in self._paced(self._unread(reader, files)):
            reader.keep(file, IN_CELLS, IN_SUMS)
        for file in files:
            counted = [
                self._advance(reader, file, scope, known[scope].get(file.number))
                for scope in scopes
            ]
            # The newest segment comes first again when there was much to count in an older one.
            if any(counted) and file != files[0]:
                return True
        return False

    def _unread(self, reader: LedgerReader, files: Sequence[File]) -> Iterator[File]:
        """Yield the files whose totals were not read yet, and that which is written.

        What the cache had no place for is not read again and again.
        """
        for file in files:
            if not reader.is_sealed(file) or file not in self._read:
                yield file
        self._read = frozenset(filter(reader.is_sealed, files))

    def _drop_others(self, scopes: Sequence[Scope], files: Sequence[File]) -> None:
        """Remove what is gone since the last round."""
        there = frozenset(scopes), frozenset(file.number for file in files)
        if there != self._there:
            self._file.drop_others(*there)
            self._there = there

    def _advance(
        self, reader: LedgerReader, file: File, scope: Scope, progress: Progress | None
    ) -> bool:
        """Count records of a segment; return whether there were some."""
        identity = identity_of(file.path) if reader.is_sealed(file) else ""
        if progress is not None and progress.whole == identity != "":
            return False
        state = reader.fact(file, "state", state_of)
        if state is None:
            return False
        if progress is None or progress.began != state.began:
            progress = Progress(state.began)
        tally = ScopeTally(scope)
        query = partial(tally.count, after=progress.counted, oldest_first=True)
        reached = self._counted(reader.read(file, query))
        # All is counted if the steps came to their end.
        last = max(state.last, reached.last) if reached.is_end else reached.last
        after = Progress(state.began, last, identity if reached.is_end else "")
        if after != progress:
            self._file.add(scope, file.number, after, tally.cells())
        return reached.last > 0

    def _counted(self, steps: Iterator[Step]) -> _Reached:
        """Count STEP records; raises `Stopped`."""
        records = last = 0
        for step in self._paced(steps):
            last, records = step.number, records + TOGETHER
            if records >= STEP:
                return _Reached(last, is_end=False)
        return _Reached(last, is_end=True)

    def _paced(self, steps: Iterable[T]) -> Iterator[T]:
        """Yield steps, and rest after each; raises `Stopped`."""
        began = time.monotonic()
        for step in steps:
            yield step
            if self._stop.wait((time.monotonic() - began) * RESTS[self._is_busy()]):
                raise Stopped
            began = time.monotonic()
