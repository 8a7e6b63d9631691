"""`gatepost plugin new`: write a plugin to start from, with a test that passes."""

import re
import sys
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
    default=Path("plugins"),
    show_default=True,
    help="Folder of the plugin; a relative path starts at the configuration's folder.",
)
@config_option
def new(name: str, *, folder: Path, file: Path) -> None:
    """Write DIR/NAME.py and DIR/test_NAME.py, a test that passes.

    NAME is a Python name in lower case. Existing files are not overwritten.
    """
    check_name(name)
    target = file.parent / folder
    texts = {f"{name}.py": _filled("plugin.txt", name)}
    texts[f"test_{name}.py"] = _filled("test_plugin.txt", name)
    try:
        create(target, texts)
    except FileExistsError as error:
        raise Failure(f"{error.filename}: exists already, choose another name") from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    _print_next_steps(target, folder / f"{name}.py", name)


def check_name(name: str) -> None:
    """Raise `WrongUsage` unless a test can import a module of this name."""
    if not _NAME.fullmatch(name) or iskeyword(name):
        raise WrongUsage(f"NAME: expected a Python name such as no_mondays, found {name!r}")
    if name in _RESERVED or name in sys.stdlib_module_names or name.startswith("test_"):
        raise WrongUsage(f"NAME: expected a name that no other module uses, found {name!r}")


def class_name(name: str) -> str:
    """Return the name of the class of a plugin: `NoMondays` for `no_mondays`."""
    return "".join(word.capitalize() for word in name.split("_"))


def _filled(name: str, plugin: str) -> str:
    text = template(name).replace("@NAME@", plugin)
    return text.replace("@CLASS@", class_name(plugin))


def _print_next_steps(target: Path, use: Path, name: str) -> None:
    print_line(f"Wrote {target / name}.py and its test. Run the test:")
    print_line()
    print_line("  pip install pytest         # once, into the same environment as gatepost")
    print_line(f"  python -m pytest {target}/test_{name}.py")
    print_line()
    print_line("To use the plugin, add this to the configuration:")
    print_line()
    print_line("  [[plugin]]")
    print_line(f'  use = "{use}"')
    print_line('  options = { user = "robot" }')
