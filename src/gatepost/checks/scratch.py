"""Lists for commands other than `serve`, which must not change the server's folders.

Big lists are looked up through an index file. The server could not replace an index that root has
written into its cache. So a command uses the server's cache only if it runs as the owner of it, and
otherwise a temporary one.
"""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from gatepost.allow.file import NAME as ALLOWED
from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.lists.file import INDEX_ABOVE
from gatepost.registry.file import NAME as REGISTRY

# The interval between two progress dots, in seconds.
_DOT_INTERVAL = 1.0


@contextmanager
def scratch(config: Config) -> Iterator[Config]:
    """Yield the configuration with a data folder that this command can write to.

    It has the registry of the configuration's own data folder, and what is allowed there.
    """
    cache = config.data_dir / "cache"
    if cache.is_dir() and cache.stat().st_uid == os.geteuid():
        yield config
        return
    with TemporaryDirectory(prefix="gatepost-") as folder:
        for name in (REGISTRY, ALLOWED):
            (Path(folder) / name).symlink_to(config.data_dir.absolute() / name)
        server = msgspec.structs.replace(config.server, data_dir=folder)
        yield msgspec.structs.replace(config, server=server)


@contextmanager
def progress(paths: Sequence[Path]) -> Iterator[None]:
    """Show progress on standard error while the block reads big files."""
    big = [path for path in paths if path.is_file() and path.stat().st_size > INDEX_ABOVE]
    if not big:
        yield
        return
    sys.stderr.write("".join(f"gatepost: reading {_with_size(path)}\n" for path in big))
    done = threading.Event()
    thread = threading.Thread(target=_write_dots, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sys.stderr.write("\n")


def _with_size(path: Path) -> str:
    mebibyte = 1024 * 1024
    return f"{path} ({format_size(path.stat().st_size // mebibyte * mebibyte)})"


def _write_dots(done: threading.Event) -> None:
    while not done.wait(_DOT_INTERVAL):
        sys.stderr.write(".")
        sys.stderr.flush()
