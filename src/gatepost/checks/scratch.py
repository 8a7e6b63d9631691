"""Lists for commands other than `serve`: read without a trace in the server's folders.

Big lists are looked up through an index. An index made by root in the server's cache could not be
replaced by the server any more, so only a cache of our own is used; else a temporary one is.
"""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.lists.file import INDEX_ABOVE

# Seconds between two signs of life.
_BEAT = 1.0


@contextmanager
def scratch(config: Config) -> Iterator[Config]:
    """Yield the configuration with a data folder that we may write to."""
    cache = config.data_dir / "cache"
    if cache.is_dir() and cache.stat().st_uid == os.geteuid():
        yield config
        return
    with TemporaryDirectory(prefix="gatepost-") as folder:
        server = msgspec.structs.replace(config.server, data_dir=folder)
        yield msgspec.structs.replace(config, server=server)


@contextmanager
def progress(paths: Sequence[Path]) -> Iterator[None]:
    """Show on standard error that something is being done while big files are read."""
    big = [path for path in paths if path.is_file() and path.stat().st_size > INDEX_ABOVE]
    if not big:
        yield
        return
    sys.stderr.write("".join(f"gatepost: reading {_sized(path)}\n" for path in big))
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sys.stderr.write("\n")


def _sized(path: Path) -> str:
    mebibyte = 1024 * 1024
    return f"{path} ({format_size(path.stat().st_size // mebibyte * mebibyte)})"


def _beat(done: threading.Event) -> None:
    while not done.wait(_BEAT):
        sys.stderr.write(".")
        sys.stderr.flush()
