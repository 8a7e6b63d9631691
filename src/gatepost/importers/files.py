"""Lines of log files: plain, or compressed with gzip, xz or bzip2, found by their first octets.

A line over MOST_LINE octets is cut; the rest of it is skipped. A compressed file that is damaged or
cut short ends there, and the error is kept. Memory does not depend on the size of a file.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import SEEK_CUR
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

MOST_LINE = 32 * 1024
_PIECE = 64 * 1024


class _Source(Protocol):
    def readline(self, size: int, /) -> bytes: ...


def _gzip(file: BinaryIO) -> _Source:
    return gzip.GzipFile(fileobj=file)


_FORMATS: Mapping[bytes, Callable[[BinaryIO], _Source]] = {
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}


class LogFile(msgspec.Struct):
    """A log file while it is read. `octets` are those of the file on disk."""

    path: Path
    cut_lines: int = 0
    octets: int = 0
    problem: str = ""

    def lines(self) -> Iterator[str]:
        """Yield the lines without their end; raises OSError if the file cannot be opened."""
        with self.path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            unpack = next((_FORMATS[one] for one in _FORMATS if start.startswith(one)), None)
            source: _Source = unpack(file) if unpack else file
            try:
                for line in self._cut(source):
                    self.octets = file.seek(0, SEEK_CUR)
                    yield line.decode("utf-8", "replace").rstrip("\r\n")
            except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
                self.problem = f"damaged or cut short: {error}"
            except OSError as error:
                self.problem = f"cannot be read: {error.strerror or error}"

    def _cut(self, source: _Source) -> Iterator[bytes]:
        """Yield lines of at most MOST_LINE octets."""
        while line := source.readline(MOST_LINE):
            yield line
            if line.endswith(b"\n") or len(line) < MOST_LINE:
                continue
            self.cut_lines += 1
            while (rest := source.readline(_PIECE)) and not rest.endswith(b"\n"):
                pass
