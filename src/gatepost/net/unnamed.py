"""Secrets as files that have no name, for what takes nothing but a file.

Security: on Linux they are in memory and never on a disk; elsewhere a temporary file, readable by
its owner alone and gone with the block.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_IN_MEMORY = hasattr(os, "memfd_create")


def unnamed() -> IO[bytes]:
    """Return an empty file, for writing and reading, to be closed by the caller."""
    if _IN_MEMORY:
        return os.fdopen(os.memfd_create("gatepost"), "w+b")
    return tempfile.NamedTemporaryFile()


@contextmanager
def readable(content: bytes) -> Iterator[str]:
    """Give the path of a file with this content, good for as long as the block."""
    with unnamed() as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}" if _IN_MEMORY else file.name
