"""Read log files: lines, then entries, then transactions in the order of their start.

Files are read in the given order, which must be that of time. `Counts` has what was skipped.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from gatepost.importers.entry import Entry, YearGuess, parse_line
from gatepost.importers.files import LogFile
from gatepost.importers.importer import Importer
from gatepost.importers.ordering import in_order
from gatepost.importers.registry import FORMATS, SAMPLE, detect
from gatepost.importers.transaction import Transaction


class UnknownFormatError(ValueError):
    """No format has been detected in a file."""


class Counts(msgspec.Struct):
    """The number of lines: all, of the server, of other programs, without a time, and cut.

    `dropped` are transactions that were dropped because too many were open. `problems` has a text
    for each file that could not be read to its end.
    """

    lines: int = 0
    used: int = 0
    foreign: int = 0
    bad: int = 0
    cut: int = 0
    dropped: int = 0
    formats: list[str] = []
    problems: list[str] = []


def _no_progress(_octets: int) -> None:
    pass


class LogReader:
    """Reads the log files of one server. `name` is a key of FORMATS, None to detect the format."""

    def __init__(self, paths: Sequence[Path], name: str | None = None) -> None:
        self._paths = paths
        self._name = name
        self.counts = Counts()

    def transactions(self, progress: Callable[[int], None] = _no_progress) -> Iterator[Transaction]:
        """Yield all transactions; `progress` is called with the octets read since its last call.

        Raises OSError for a file that cannot be opened, and UnknownFormatError.
        """
        return in_order(self._unordered(progress))

    def _unordered(self, progress: Callable[[int], None]) -> Iterator[Transaction]:
        importers: dict[str, Importer] = {}
        years = YearGuess(max((path.stat().st_mtime for path in self._paths), default=0.0))
        for path in self._paths:
            name = self._name or self._detect(path)
            importer = importers.get(name)
            if importer is None:
                importer = importers[name] = FORMATS[name]()
                self.counts.formats.append(name)
            yield from self._read(path, importer, years, progress)
        for importer in importers.values():
            importer.finish()
            yield from importer.take()
            self.counts.dropped += importer.dropped

    def _read(
        self, path: Path, importer: Importer, years: YearGuess, progress: Callable[[int], None]
    ) -> Iterator[Transaction]:
        file, counts, before = LogFile(path), self.counts, 0
        for line in file.lines():
            counts.lines += 1
            entry = parse_line(line, years)
            if entry is None:
                counts.bad += 1
            elif importer.feed(entry):
                counts.used += 1
                yield from importer.take()
            else:
                counts.foreign += 1
            if file.octets != before:
                progress(file.octets - before)
                before = file.octets
        counts.cut += file.cut_lines
        if file.problem:
            counts.problems.append(f"{path}: {file.problem}")

    def _detect(self, path: Path) -> str:
        years = YearGuess(path.stat().st_mtime)
        found = detect(_entries(path, years))
        if found is None:
            expected = ", ".join(FORMATS)
            raise UnknownFormatError(f"{path}: expected a log of {expected}; found none of them")
        return found


def _entries(path: Path, years: YearGuess) -> Iterator[Entry]:
    for line in islice(LogFile(path).lines(), SAMPLE):
        entry = parse_line(line, years)
        if entry is not None:
            yield entry
