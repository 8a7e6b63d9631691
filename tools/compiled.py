"""`make compiled`: build the project as `pip install .` does, for the demo, the bench and tests.

    PYTHONPATH=.peers/compiled python -m gatepost serve

The wheel in `.peers/wheel` is built by pip from the checkout, and installed into `.peers/compiled`.
Both are built again only if the source has changed. Concurrent processes wait for each other on a
lock file. Prints the folder. If the wheel is not compiled, it prints the reason and exits 1.
"""

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"
TARGET = PEERS / "compiled"
WHEELS = PEERS / "wheel"
STAMP = TARGET / ".source"

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
# The warning of hatch_build.py.
REASON = re.compile(r"gatepost: building in pure Python: (.*)", re.DOTALL)


class NoCompilerError(Exception):
    """The compiled build is not possible here; the message has the reason."""


def digest() -> str:
    """Return a digest of the source, the build settings and the Python version."""
    state = hashlib.blake2b(sys.version.encode(), digest_size=16)
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.pyi")]
    for path in [ROOT / "pyproject.toml", ROOT / "hatch_build.py", *sorted(sources)]:
        state.update(str(path).encode() + path.read_bytes())
    return state.hexdigest()


def build() -> Path:
    """Return the folder of an up-to-date build; raise `NoCompilerError` if there is none."""
    PEERS.mkdir(exist_ok=True)
    with _locked():
        source = digest()
        if not is_current():
            shutil.rmtree(TARGET, ignore_errors=True)
            wheel = _build_wheel()
            _run(*PIP, "install", "-q", "--no-deps", "--target", str(TARGET), str(wheel))
            STAMP.write_text(source)
    return TARGET


def is_current() -> bool:
    """Return whether there is a build of the source as it is now."""
    return STAMP.exists() and STAMP.read_text() == digest()


def wheel() -> Path:
    """Return an up-to-date compiled wheel; raise `NoCompilerError` if there is none."""
    build()
    (found,) = WHEELS.glob("*.whl")
    return found


def _build_wheel() -> Path:
    shutil.rmtree(WHEELS, ignore_errors=True)
    output = _run(*PIP, "wheel", "-v", "--no-deps", "--wheel-dir", str(WHEELS), str(ROOT))
    (found,) = WHEELS.glob("*.whl")
    if found.name.endswith("-none-any.whl"):
        reason = REASON.search(output)
        raise NoCompilerError(reason[1].splitlines()[0] if reason else output)
    return found


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock; the kernel releases it when the holder ends."""
    with (PEERS / "compiled.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(*command: str) -> str:
    """Run a program and return its output."""
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise NoCompilerError(f"the compiled build failed:\n{result.stdout}")
    return result.stdout


def main() -> None:
    """Build and print the folder."""
    try:
        print(build())
    except NoCompilerError as error:
        sys.exit(f"gatepost: {error}")


if __name__ == "__main__":
    main()
