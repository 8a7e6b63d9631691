"""Create the project's virtual environment: `environment.py FOLDER [EXTRA...]`.

Needs Python 3.11 or later and no other package. If Debian's venv package is missing, root installs
it; other users get an error that names it.
"""

import os
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)
ROOT = Path(__file__).resolve().parent.parent


def fail(text: str) -> None:
    """Exit with an error."""
    sys.exit(f"gatepost: {text}")


def make_environment(folder: Path) -> None:
    """Create the environment; install Debian's venv package if needed."""
    command = [sys.executable, "-m", "venv", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode == 0:
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() != 0:
        fail(f"cannot make a virtual environment: install the package {package} and try again")
    subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", "install", "-qy", package], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(command, check=True)


def is_usable(pip: list[str]) -> bool:
    """Return whether this pip runs."""
    try:
        return subprocess.run([*pip, "--version"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def main() -> None:
    """Create the environment if it does not exist, and install the project with these extras."""
    folder, extras = Path(sys.argv[1]), ",".join(sys.argv[2:])
    project = f"{ROOT}[{extras}]" if extras else str(ROOT)
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        fail(f"expected Python {'.'.join(map(str, MINIMUM))} or later, found {found}")
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    if not is_usable(pip):
        print("gatepost: creating a virtual environment")
        make_environment(folder)
    print(f"gatepost: installing dependencies ({extras or 'without extras'})")
    options = ["install", "-q", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
    result = subprocess.run(
        [*pip, *options, "-e", project],
        env=os.environ | {"GATEPOST_BUILD": "pure"},  # no packages for a compilation
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        fail(f"installation failed:\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    main()
