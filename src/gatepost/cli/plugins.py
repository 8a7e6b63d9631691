"""`gatepost plugins`: list the plugins that can be used, and those in use, or show one in full."""

import difflib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import click
import msgspec

from gatepost.cli.shared.output import (
    Failure,
    joined,
    print_error,
    print_json,
    print_line,
    print_table,
)
from gatepost.cli.shared.settings import DEFAULT_FILE, config_option, json_option, read_config
from gatepost.log.setup import configure_command_log
from gatepost.plugin.base import Plugin
from gatepost.plugin.contract import implemented
from gatepost.plugin.host import PluginError
from gatepost.plugin.loader import ENTRY_POINT_GROUP, builtin_names, find_plugin
from gatepost.plugin.options.about import about_options
from gatepost.plugin.options.words import expected, shown_default, type_name

_TITLES = ("name", "kind", "configured", "about")
_WIDTH, _INDENT = 80, "    "


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


@click.command(epilog="Example: gatepost plugins dnsbl")
@click.argument("name", required=False)
@config_option
@json_option
def command(name: str | None, *, file: Path, as_json: bool) -> int:
    """List the plugins that are shipped, installed or configured.

    With NAME, show the hooks and the options of that plugin. `gatepost plugin new NAME` writes a
    new one.
    """
    configure_command_log()
    errors: list[str] = []
    found = list(_all(file, errors))
    if name is None:
        _print_all(found, as_json=as_json)
    else:
        _print_one(_named(name, found, errors), as_json=as_json)
        return 0
    for error in errors:
        print_error(error)
    return 1 if errors else 0


def _print_all(found: Sequence[ListedPlugin], *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found:
        rows = [[p.name, p.kind, "yes" if p.configured else "no", p.about] for p in found]
        print_table(_TITLES, rows)
    else:
        print_line("no plugins found; write one with: gatepost plugin new NAME")


def _named(name: str, found: Sequence[ListedPlugin], errors: Sequence[str]) -> ListedPlugin:
    """Return the plugin of a name; raises `Failure`."""
    for one in found:
        if one.name == name:
            return one
    close = difflib.get_close_matches(name, [one.name for one in found], n=1)
    hint = f"did you mean {close[0]}?" if close else "gatepost plugins lists them"
    raise Failure(f"no plugin {name}; {hint}", *errors)


def _print_one(plugin: ListedPlugin, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(plugin))
        return
    _print_wrapped(f"{plugin.name}: {plugin.about}", "")
    print_line()
    facts = {
        "kind": plugin.kind,
        "configured": "yes" if plugin.configured else "no",
        "hooks": joined(plugin.hooks),
        "options for": joined(plugin.options_for),
        "page": plugin.page or "none",
    }
    for title, text in facts.items():
        _print_wrapped(f"{title:12} {text}", "", " " * 13)
    for option in plugin.options:
        print_line()
        default = "required" if option.required else f"default: {option.default}"
        _print_wrapped(f"{option.name}: {option.value}; {default}", "", _INDENT * 2)
        _print_wrapped(option.about, _INDENT)


def _print_wrapped(text: str, first: str, others: str | None = None) -> None:
    """Write a text in lines of at most _WIDTH columns, with an indent for the first and others."""
    indent = first if others is None else others
    for line in textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    ):
        print_line(line)


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
        about, hooks = first_line(plugin, shipped=kind == "shipped"), implemented(plugin)
        domains = [domain for one in configured if one.use == use for domain in one.options_for]
        page = f"docs/shipped/{name}.md" if kind == "shipped" else ""
        yield ListedPlugin(name, kind, use in uses, about, hooks, options, domains, page)


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
