"""`gatepost plugins`: list the plugins that can be used, and those in use."""

import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import msgspec

from gatepost.cli.shared.output import joined, print_error, print_json, print_line, print_table
from gatepost.cli.shared.settings import DEFAULT_FILE, config_option, json_option, read_config
from gatepost.log.setup import configure_command_log
from gatepost.plugin.base import Plugin
from gatepost.plugin.contract import implemented
from gatepost.plugin.host import PluginError
from gatepost.plugin.loader import ENTRY_POINT_GROUP, builtin_names, find_plugin
from gatepost.plugin.options.words import shown_default, type_name

_TITLES = ("name", "kind", "configured", "about", "hooks", "options", "options for")


class ListedOption(msgspec.Struct):
    """An option of a plugin: its type, and its default ("" if it is required)."""

    name: str
    type: str
    default: str
    required: bool

    def __str__(self) -> str:
        default = "" if self.required else f" = {self.default}"
        return f"{self.name}: {self.type}{default}"


class ListedPlugin(msgspec.Struct):
    """A plugin: its name, its kind (shipped, installed or file), and whether it is configured.

    `options_for` has the domains for which the configuration has other options.
    """

    name: str
    kind: str
    configured: bool
    about: str
    hooks: list[str]
    options: list[ListedOption]
    options_for: list[str]


@click.command(epilog="Example: gatepost plugins --json")
@config_option
@json_option
def command(file: Path, *, as_json: bool) -> int:
    """List the plugins that are shipped, installed or configured, with hooks and options.

    `gatepost plugin new NAME` writes a new one.
    """
    configure_command_log()
    errors: list[str] = []
    found = list(_all(file, errors))
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found:
        rows = [[p.name, p.kind, "yes" if p.configured else "no", p.about] for p in found]
        more = [
            [joined(p.hooks), joined(map(str, p.options)), joined(p.options_for)] for p in found
        ]
        cells = [[*row, *texts] for row, texts in zip(rows, more, strict=True)]
        print_table(_TITLES, cells)
    else:
        print_line("no plugins found; write one with: gatepost plugin new NAME")
    for error in errors:
        print_error(error)
    return 1 if errors else 0


def _all(file: Path, errors: list[str]) -> Iterator[ListedPlugin]:
    """Yield every plugin once; add an error for each that cannot be used."""
    has_config = file.exists() or file != DEFAULT_FILE
    config = read_config(file) if has_config else None
    base = Path() if config is None else config.base
    configured = () if config is None else config.plugin
    uses = [one.use for one in configured]
    kinds = dict.fromkeys(uses, "file")
    kinds |= {point.name: "installed" for point in entry_points(group=ENTRY_POINT_GROUP)}
    kinds |= dict.fromkeys(builtin_names(), "shipped")
    for use, kind in sorted(kinds.items()):
        try:
            plugin, name = find_plugin(use, base)
        except PluginError as error:
            errors.append(str(error))
            continue
        try:
            options = list(_options(plugin))
        except (TypeError, NameError) as error:
            errors.append(f"plugin {use}: class Options: {error}")
            continue
        about, hooks = first_line(plugin), implemented(plugin)
        domains = [domain for one in configured if one.use == use for domain in one.options_for]
        yield ListedPlugin(name, kind, use in uses, about, hooks, options, domains)


def _options(plugin: type[Plugin]) -> Iterator[ListedOption]:
    """Yield the options; raises TypeError or NameError for a class that cannot be used."""
    for field in msgspec.structs.fields(plugin.Options):
        factory = field.default_factory
        value = field.default if factory is msgspec.NODEFAULT else factory()
        default = "" if field.required else shown_default(value)
        yield ListedOption(field.encode_name, type_name(field.type), default, field.required)


def first_line(plugin: type[Plugin]) -> str:
    """Return the first line of the docstring of a plugin, or else of its module."""
    own = plugin.__dict__.get("__doc__") or sys.modules[plugin.__module__].__doc__ or ""
    return inspect.cleandoc(own).partition("\n")[0]
