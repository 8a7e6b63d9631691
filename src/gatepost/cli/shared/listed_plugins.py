"""The plugins that can be used: those that are shipped, installed or configured.

A plugin that cannot be loaded is an error of its own; the others are listed nevertheless.
"""

import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import msgspec

from gatepost.cli.shared.settings import DEFAULT_FILE, read_config
from gatepost.config.schema import Config
from gatepost.plugin.base import Plugin
from gatepost.plugin.contract import implemented
from gatepost.plugin.host import PluginError
from gatepost.plugin.loader import ENTRY_POINT_GROUP, builtin_names, find_plugin
from gatepost.plugin.options.about import about_options
from gatepost.plugin.options.words import expected, shown_default, type_name


class ListedOption(msgspec.Struct):
    """An option of a plugin: its type, its default ("" if it is required), and what it is for.

    `value` is the type in words, as a configuration has it.
    """

    name: str
    type: str
    value: str
    default: str
    required: bool
    about: str


class ListedPlugin(msgspec.Struct):
    """A plugin: its name, its kind (shipped, installed or file), and whether it is configured.

    `options_for` has the domains for which the configuration has other options. `page` is the page
    of the documentation about a shipped plugin, "" for others.
    """

    name: str
    kind: str
    configured: bool
    about: str
    hooks: list[str]
    options: list[ListedOption]
    options_for: list[str]
    page: str


def listed_plugins(file: Path, errors: list[str]) -> Iterator[ListedPlugin]:
    """Yield every plugin once; add an error for each that cannot be used."""
    config = _config(file)
    base = Path() if config is None else config.base
    configured = () if config is None else config.plugin
    uses = [one.use for one in configured]
    kinds = dict.fromkeys(uses, "file") | available()
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
        about, hooks = first_line(plugin, shipped=kind == "shipped"), implemented(plugin)
        domains = [domain for one in configured if one.use == use for domain in one.options_for]
        page = f"docs/shipped/{name}.md" if kind == "shipped" else ""
        yield ListedPlugin(name, kind, use in uses, about, hooks, options, domains, page)


def available() -> dict[str, str]:
    """Return the kinds of the plugins that need no configuration, by name."""
    kinds = {point.name: "installed" for point in entry_points(group=ENTRY_POINT_GROUP)}
    return kinds | dict.fromkeys(builtin_names(), "shipped")


def _config(file: Path) -> Config | None:
    has_config = file.exists() or file != DEFAULT_FILE
    return read_config(file) if has_config else None


def _options(plugin: type[Plugin]) -> Iterator[ListedOption]:
    """Yield the options; raises TypeError or NameError for a class that cannot be used."""
    about = about_options(plugin.Options)
    for field in msgspec.structs.fields(plugin.Options):
        factory = field.default_factory
        value = field.default if factory is msgspec.NODEFAULT else factory()
        yield ListedOption(
            name=field.encode_name,
            type=type_name(field.type),
            value=expected(field.type),
            default="" if field.required else shown_default(value),
            required=field.required,
            about=about.get(field.name, ""),
        )


def first_line(plugin: type[Plugin], *, shipped: bool = False) -> str:
    """Return the first line of the docstring of a plugin, or else of its module.

    A shipped plugin is described by its module.
    """
    own = "" if shipped else plugin.__dict__.get("__doc__")
    return inspect.cleandoc(own or sys.modules[plugin.__module__].__doc__ or "").partition("\n")[0]
