"""Build the files of a release into `dist`: `make dist`.

    gatepost-VERSION.tar.gz             the source
    gatepost-VERSION-py3-none-any.whl   pure Python, for every platform
    gatepost-VERSION-cp…-PLATFORM.whl   compiled, for this Python and this platform

The pure wheel is built from the source archive, so a file that the archive lacks is noticed. The
compiled wheel is that of tools/compiled.py. It needs a C compiler.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import compiled  # noqa: E402 - found by the line above

DIST = ROOT / "dist"


def build_archive(folder: Path) -> Path:
    """Build the source archive into a folder, and return it."""
    command = (sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder))
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def build_pure(source: Path, folder: Path) -> Path:
    """Build the pure wheel of a checkout or an archive into a folder, and return it."""
    command = (*compiled.PIP, "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(source))
    subprocess.run(command, env=os.environ | {"GATEPOST_BUILD": "pure"}, check=True)
    (wheel,) = folder.glob("*-none-any.whl")
    return wheel


def main() -> None:
    """Build all files and print their names."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    try:
        build_pure(build_archive(DIST), DIST)
        shutil.copy2(compiled.wheel(), DIST)
    except compiled.NoCompilerError as error:
        sys.exit(f"gatepost: no compiled wheel: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"gatepost: {error}")
    for path in sorted(DIST.iterdir()):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
