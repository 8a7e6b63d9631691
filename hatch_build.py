"""Build hook of the wheel: compile the hot path with mypyc if there is a C compiler.

    pip install .                             # compiled; pure Python if it cannot be compiled
    GATEPOST_BUILD=pure pip install .         # pure Python
    GATEPOST_BUILD=compiled pip install .     # compiled, or an error with the reason

A compiled wheel has the tag of its platform, a pure one is for every platform. The modules to
compile, and the packages that this needs, are in pyproject.toml. An editable installation is never
compiled.

Every other wheel has the pages of the shipped plugins.

hatch-mypyc is not used: it cannot fall back, has had no release since February 2023, and compiles
in the checkout. There a compiled module hides its source file, and later changes have no effect.
Here nothing is written outside of a temporary folder.

Trusts the checkout and the C compiler.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilderConfig

VARIABLE = "GATEPOST_BUILD"
PAGES = "docs/shipped"  # the checkout's; `gatepost plugins show` prints them
MODES = ("auto", "compiled", "pure")
REPORTED = 20  # lines of the output of a failed compilation

# Each module has a C file of its own, and the files are compiled in parallel. One file for all of
# them takes half as long again, and on one core only; the result is as fast.
SETUP = """\
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from mypyc.build import mypycify
from setuptools import setup
from setuptools.command.build_ext import build_ext


class ParallelBuild(build_ext):
    def build_extensions(self):
        compile_some = self.compiler.compile

        def compile_all(sources, **options):
            found = pool.map(lambda source: compile_some([source], **options), sources)
            return list(chain.from_iterable(found))

        self.compiler.compile = compile_all
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            super().build_extensions()


modules = mypycify(
    {paths!r}, opt_level="3", debug_level="0", multi_file=True, target_dir={folder!r}
)
for module in modules:
    module.extra_compile_args += {flags!r}
setup(
    name="gatepost",
    packages=[],
    py_modules=[],
    cmdclass={{"build_ext": ParallelBuild}},
    ext_modules=modules,
)
"""
# Functions call each other directly, and are expanded where they are called: nothing outside of the
# compiled files can replace them.
FLAGS = ("-fvisibility=hidden", "-fno-semantic-interposition")
# mypy reads no configuration and writes no cache into the checkout. Packages that are not installed
# for the build have no types.
MYPY = (
    "--config-file=",
    "--cache-dir={folder}",
    "--follow-imports=silent",
    "--ignore-missing-imports",
)


class NotCompiledError(Exception):
    """The hot path cannot be compiled here; the text is the reason."""


def mode() -> str:
    """Return what to build; raise ValueError if the environment variable has another value."""
    found = os.environ.get(VARIABLE) or MODES[0]
    if found not in MODES:
        raise ValueError(f"{VARIABLE}: expected one of {', '.join(MODES)}, found {found}")
    return found


def missing() -> str:
    """Return what a compilation lacks on this machine, empty if nothing."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    name = shlex.split(command)[0]
    if shutil.which(name) is None:
        return f"no C compiler found (looked for {name})"
    header = Path(sysconfig.get_path("include"), "Python.h")
    return "" if header.exists() else f"{header} is missing (install Python's development files)"


def sources(root: Path, patterns: list[str]) -> list[Path]:
    """Return the files to compile, relative to the folder of the package."""
    source = root / "src"
    found = {pattern: sorted(root.glob(pattern.lstrip("/"))) for pattern in patterns}
    if empty := [pattern for pattern, paths in found.items() if not paths]:
        raise ValueError(f"pyproject.toml: no file to compile matches {', '.join(empty)}")
    return [path.relative_to(source) for paths in found.values() for path in paths]


def compile_modules(root: Path, files: list[Path], folder: Path) -> None:
    """Compile files into the folder; raise `NotCompiledError` with the last lines of the output."""
    options = [option.format(folder=folder / "cache") for option in MYPY]
    paths = [*options, *(path.as_posix() for path in files)]
    script = folder / "setup.py"
    script.write_text(SETUP.format(paths=paths, folder=str(folder / "c"), flags=FLAGS), "utf-8")
    build = ("build_ext", "--build-lib", folder / "lib", "--build-temp", folder / "tmp")
    result = subprocess.run(
        [sys.executable, script, "-q", *build],
        cwd=root / "src",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stdout.splitlines()[-REPORTED:]
        raise NotCompiledError("\n".join(["the compilation failed:", *lines]))


def built(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each compiled file, and its path in the wheel."""
    library = folder / "lib"
    for path in sorted(library.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}")):
        yield str(path), path.relative_to(library).as_posix()


class CompileHook(BuildHookInterface[WheelBuilderConfig]):
    """Add the pages of the shipped plugins and the compiled modules to the wheel."""

    def dependencies(self) -> list[str]:
        """Return the packages that a compilation needs; none if nothing will be compiled."""
        wanted = mode() != "pure" and not missing()
        return list(self.config["compile-requires"]) if wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; if that is not possible, leave the wheel pure.

        Raise `NotCompiledError` instead if the environment requires a compiled wheel.
        """
        if version == "editable":
            return
        build_data["force_include"].update({str(Path(self.root, PAGES)): "gatepost/pages"})
        if mode() == "pure":
            return
        try:
            added = self._compile()
        except NotCompiledError as error:
            self.finalize()
            if mode() == "compiled":
                raise
            self.app.display_warning(f"gatepost: building in pure Python: {error}")
        else:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["force_include"].update(added)

    def _compile(self) -> dict[str, str]:
        if reason := missing():
            raise NotCompiledError(reason)
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-build-")
        files = sources(Path(self.root), self.config["include"])
        self.app.display_info(f"gatepost: compiling {len(files)} modules, this takes minutes")
        compile_modules(Path(self.root), files, Path(self._folder.name))
        return dict(built(Path(self._folder.name)))

    def finalize(self, *_: object) -> None:
        """Remove the temporary folder."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
