"""Secrets as files without a name, for interfaces that accept only a file.

Security: on Linux the content is in memory and never on disk. On other systems it is a temporary
file that only its owner can read and that is removed at the end of the block.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_IN_MEMORY = hasattr(os, "memfd_create")


def unnamed() -> IO[bytes]:
    """Return an empty file for writing and reading. The caller closes it."""
    if _IN_MEMORY:
        return os.fdopen(os.memfd_create("gatepost"), "w+b")
    import tempfile  # noqa: PLC0415 - takes milliseconds, not needed on Linux

    return tempfile.NamedTemporaryFile()


@contextmanager
def readable(content: bytes) -> Iterator[str]:
    """Yield the path of a file with this content; it is valid until the end of the block."""
    with unnamed() as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}" if _IN_MEMORY else file.name
