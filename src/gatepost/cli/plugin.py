"""`gatepost plugin new`: write a plugin to start from, with a test that passes.

It is one file for the server at hand, or a package that others can install.
"""

import re
import sys
from collections.abc import Mapping
from keyword import iskeyword
from pathlib import Path

import click

from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import Failure, WrongUsage, print_line
from gatepost.cli.shared.settings import config_option
from gatepost.cli.shared.starter import create, template
from gatepost.log.os_error import describe_os_error

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# The test and pytest import other modules under these names.
_RESERVED = frozenset({"gatepost", "pytest", "conftest"})


# The files of a package, and their templates.
PACKAGE = {
    "pyproject.toml": "package_pyproject.txt",
    "README.md": "package_readme.txt",
    "Makefile": "package_makefile.txt",
    ".gitignore": "package_gitignore.txt",
    "src/gatepost_{name}/__init__.py": "plugin.txt",
    "tests/test_{name}.py": "test_plugin.txt",
}


@click.group(cls=SuggestingGroup, epilog="Example: gatepost plugin new no_newcomers")
def command() -> None:
    """Write a new plugin and its test."""


@command.command(
    "new", epilog="Example: gatepost plugin new no_newcomers && python -m pytest plugins"
)
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of the plugin; a relative path starts at the configuration's folder. Default:"
    " plugins. With --package: the folder of the package, by default in the current folder.",
)
@click.option("--package", is_flag=True, help="Write a package that others can install with pip.")
@config_option
def new(name: str, *, folder: Path | None, package: bool, file: Path) -> None:
    """Write DIR/NAME.py and DIR/test_NAME.py, a test that passes.

    With --package: a folder with pyproject.toml, the plugin in src, its test, a README and a
    Makefile. NAME is a Python name in lower case. Existing files are not overwritten.
    """
    check_name(name)
    if package:
        _new_package(name, folder or Path(distribution(name)))
    else:
        _new_file(name, folder or Path("plugins"), file.parent)


def _new_file(name: str, folder: Path, base: Path) -> None:
    target = base / folder
    texts = {f"{name}.py": _filled("plugin.txt", name)}
    texts[f"test_{name}.py"] = _filled("test_plugin.txt", name)
    _create(target, texts)
    _print_next_steps(target, folder / f"{name}.py", name)


def _new_package(name: str, folder: Path) -> None:
    module = f"gatepost_{name}"
    files = {path.format(name=name): text for path, text in PACKAGE.items()}
    texts = {path: _filled(text, name, module) for path, text in files.items()}
    _create(folder, texts | {f"src/{module}/py.typed": ""})
    _print_package_steps(folder, name)


def _create(target: Path, texts: Mapping[str, str]) -> None:
    """Write files; raises `Failure`."""
    try:
        create(target, texts)
    except FileExistsError as error:
        raise Failure(f"{error.filename}: exists already, choose another name") from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error


def check_name(name: str) -> None:
    """Raise `WrongUsage` unless a test can import a module of this name."""
    if not _NAME.fullmatch(name) or iskeyword(name):
        raise WrongUsage(f"NAME: expected a Python name such as no_mondays, found {name!r}")
    if name in _RESERVED or name in sys.stdlib_module_names or name.startswith("test_"):
        raise WrongUsage(f"NAME: expected a name that no other module uses, found {name!r}")


def class_name(name: str) -> str:
    """Return the name of the class of a plugin: `NoMondays` for `no_mondays`."""
    return "".join(word.capitalize() for word in name.split("_"))


def distribution(name: str) -> str:
    """Return the name of the package of a plugin: `gatepost-no-mondays` for `no_mondays`."""
    return "-".join(["gatepost", *filter(None, name.split("_"))])


def _filled(text: str, name: str, module: str = "") -> str:
    values = {
        "@NAME@": name,
        "@CLASS@": class_name(name),
        "@MODULE@": module or name,
        "@DISTRIBUTION@": distribution(name),
    }
    filled = template(text)
    for word, value in values.items():
        filled = filled.replace(word, value)
    return filled


def _print_next_steps(target: Path, use: Path, name: str) -> None:
    print_line(f"Wrote {target / name}.py and its test. Run the test:")
    print_line()
    print_line("  pip install pytest         # once, into the same environment as gatepost")
    print_line(f"  python -m pytest {target}/test_{name}.py")
    _print_use(str(use))


def _print_package_steps(folder: Path, name: str) -> None:
    print_line(f"Wrote the package {folder}. Install it, and run its test:")
    print_line()
    print_line(f"  pip install -e '{folder}[test]'    # into the same environment as gatepost")
    print_line(f"  python -m pytest {folder}")
    _print_use(name)


def _print_use(use: str) -> None:
    print_line()
    print_line("To use the plugin, add this to the configuration:")
    print_line()
    print_line("  [[plugin]]")
    print_line(f'  use = "{use}"')
    print_line('  options = { user = "robot" }')
