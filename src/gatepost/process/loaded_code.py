"""The code that this process has imported, compared with the files that are installed now.

An upgrade replaces files while the server runs. Code that is in memory must not be mixed with
modules of another version, which a later import would read.

Limits: a file that changes between its import and the look at it is not noticed.
"""

import os
import sys

Identity = tuple[int, int, int]


class LoadedCode:
    """The files of all modules that are imported at this moment."""

    def __init__(self) -> None:
        self._files = {path: _identify(path) for path in _module_files()}

    def is_installed(self) -> bool:
        """Return whether none of the files has changed."""
        return all(_identify(path) == identity for path, identity in self._files.items())


def _module_files() -> set[str]:
    """Return the source and extension files of all imported modules."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {path for path in files if path is not None}


def _identify(path: str) -> Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of a Path, for hundreds of files
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
