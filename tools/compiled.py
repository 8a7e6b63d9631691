"""Build the project with its hot path compiled, into `.peers/compiled`, for bench and tests.

    PYTHONPATH=.peers/compiled python -m gatepost serve

The build hook in pyproject.toml compiles the source with mypyc. It needs a C compiler. The build
uses a copy of the source, so that a compiled module never hides its source file, and runs again
only when the source has changed. Prints the folder. Without a compiler it prints an error and
exits 1.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".peers" / "compiled"
STAMP = TARGET / ".source"


class NoCompilerError(Exception):
    """The compiled build is not possible here; the message has the reason."""


def digest() -> str:
    """Return a digest of the source, the build settings and the Python version."""
    state = hashlib.blake2b(sys.version.encode(), digest_size=16)
    for path in [ROOT / "pyproject.toml", *sorted((ROOT / "src").rglob("*.py"))]:
        state.update(str(path).encode() + path.read_bytes())
    return state.hexdigest()


def build() -> Path:
    """Return the folder of an up-to-date build; raise `NoCompilerError` if there is none."""
    current = digest()
    if STAMP.exists() and STAMP.read_text() == current:
        return TARGET
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        raise NoCompilerError("no C compiler found (install the package gcc)")
    shutil.rmtree(TARGET, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "source"
        ignore = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / "src", copy / "src", ignore=ignore)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy / name)
        _install(copy)
    STAMP.write_text(current)
    return TARGET


def _install(source: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    result = subprocess.run(
        [*command, "--no-deps", "--target", str(TARGET), str(source)],
        env=os.environ | {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise NoCompilerError(f"the compiled build failed:\n{result.stdout}{result.stderr}")


def main() -> None:
    """Build and print the folder."""
    try:
        print(build())
    except NoCompilerError as error:
        sys.exit(f"gatepost: {error}")


if __name__ == "__main__":
    main()
