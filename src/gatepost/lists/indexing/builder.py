"""The child process that builds an index (`build`), as a list file uses it."""

import hashlib
import subprocess
import sys
from pathlib import Path
from subprocess import Popen

from gatepost.lists.reloadable import ListError


def index_path(path: Path, cache_dir: Path) -> Path:
    """Return the path of the index of a list file, different for each list."""
    name = str(path.absolute()).encode("utf-8", "surrogateescape")
    return cache_dir / f"{path.name}-{hashlib.sha256(name).hexdigest()[:16]}.index"


class IndexBuilder:
    """Builds the index `target` of the list `path`, with one child process at most."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target
        self._child: Popen[str] | None = None

    def start(self) -> None:
        """Start a child unless one is running; raises `ListError` if that fails."""
        if self._child is not None:
            return
        # -P: do not import modules from the current folder.
        module = ("-P", "-m", "gatepost.lists.indexing.build")
        command = [sys.executable, *module, str(self.path), str(self.target)]
        try:
            self._child = subprocess.Popen(  # noqa: S603 -- our own program, no shell
                command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise self._failed(str(error)) from error

    def finished(self) -> bool:
        """Return whether a child has finished; raises `ListError` if it failed."""
        if self._child is None or self._child.poll() is None:
            return False
        self.wait()
        return True

    def wait(self) -> None:
        """Wait for the child, if any, to finish; raises `ListError` if it failed."""
        child, self._child = self._child, None
        if child is None:
            return
        _, output = child.communicate()
        if child.returncode:
            last = output.strip().rpartition("\n")[2]
            raise self._failed(last or f"exit status {child.returncode}")

    def stop(self) -> None:
        """Kill the child, if any."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _failed(self, why: str) -> ListError:
        return ListError(
            f"{self.path}: building the index failed: {why}; "
            "the next change of the file triggers another attempt"
        )
