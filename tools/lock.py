"""Write the hashed requirements in `requirements`: `make lock`.

    requirements/run.txt     what Gatepost needs at run time, with uvloop
    requirements/build.txt   what its wheel is built and compiled with

pip-compile resolves them with the versions in constraints.txt, and adds the hashes of all files of
each version, so that they can be installed on every platform with `pip install --require-hashes`.
It runs in an environment of its own, which is removed afterwards. To upgrade, change
constraints.txt first; it does not have the packages for the build, of which the newest are taken.

Trusts the package index that pip is configured with, and no local files.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
HEADING = "# Written by `make lock`: versions of constraints.txt, with hashes of all files.\n"
COMPILER = "pip-tools>=7.5"
OPTIONS = (
    "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-options", "--strip-extras",
    "--allow-unsafe", "--quiet", "--constraint", str(ROOT / "constraints.txt"),
)  # fmt: skip


def lock(compiler: str, name: str, *arguments: str) -> None:
    """Write one file."""
    path = FOLDER / name
    path.unlink(missing_ok=True)  # its versions would be kept
    command = [compiler, *OPTIONS, "--output-file", str(path), *arguments]
    environment = {**os.environ, "PIP_FIND_LINKS": ""}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    pins = (line for line in lines if line.strip() and not line.startswith("#"))
    path.write_text("".join([HEADING, *pins]), "utf-8")
    print(f"{path.relative_to(ROOT)} written")


def build_requirements() -> list[str]:
    """Return what a compiled wheel is built with, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    hooks = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    return [*project["build-system"]["requires"], *hooks["custom"]["compile-requires"]]


def main() -> None:
    """Install the compiler and write both files."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = (f"{folder}/bin/pip", "install", "-q", "--disable-pip-version-check", COMPILER)
        subprocess.run(pip, check=True)
        compiler = f"{folder}/bin/pip-compile"
        lock(compiler, "run.txt", "pyproject.toml")
        build = Path(folder) / "build.in"
        build.write_text("\n".join(build_requirements()), "utf-8")
        lock(compiler, "build.txt", str(build))


if __name__ == "__main__":
    main()
