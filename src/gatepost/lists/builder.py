"""The child process that builds an index (`build`), as the list file that wants one sees it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost.lists.reloadable import ListError

if TYPE_CHECKING:
    from subprocess import Popen


def index_path(path: Path, cache_dir: Path) -> Path:
    """Return where the index of a list file is kept: a name of its own for each path."""
    name = str(path.absolute()).encode("utf-8", "surrogateescape")
    return cache_dir / f"{path.name}-{hashlib.sha256(name).hexdigest()[:16]}.index"


class IndexBuilder:
    """Builds the index `target` of the list `path`, one child process at a time."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target
        self._child: Popen[str] | None = None

    def start(self) -> None:
        """Start building unless a child is at it; raises `ListError` if none can be started."""
        if self._child is not None:
            return
        # -P: the folder we happen to be in is no place to import from.
        module = ("-P", "-m", "gatepost.lists.build")
        command = [sys.executable, *module, str(self.path), str(self.target)]
        try:
            self._child = subprocess.Popen(  # noqa: S603 -- our own program, no shell
                command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise self._failed(str(error)) from error

    def finished(self) -> bool:
        """Whether the child has come to its end well; raises `ListError` if it failed."""
        if self._child is None or self._child.poll() is None:
            return False
        self.wait()
        return True

    def wait(self) -> None:
        """Wait for the child to end, if there is one; raises `ListError` if it failed."""
        child, self._child = self._child, None
        if child is None:
            return
        _, said = child.communicate()
        if child.returncode:
            last = said.strip().rpartition("\n")[2]
            raise self._failed(last or f"exit status {child.returncode}")

    def stop(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _failed(self, why: str) -> ListError:
        return ListError(
            f"{self.path}: its index cannot be built: {why}; "
            "the next change of the file tries again"
        )
