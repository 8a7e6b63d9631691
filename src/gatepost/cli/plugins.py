"""`gatepost plugins`: list the plugins that can be used, search them, and show one in full.

The names of plugins of qpsmtpd and Haraka lead to their equivalents here.
"""

import difflib
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from click.shell_completion import CompletionItem

from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.listed_plugins import ListedPlugin, available, listed_plugins
from gatepost.cli.shared.output import (
    Failure,
    joined,
    print_error,
    print_json,
    print_line,
    print_table,
)
from gatepost.cli.shared.plugin_pages import page_of, print_page
from gatepost.cli.shared.plugin_search import Found, search
from gatepost.cli.shared.settings import config_option, json_option
from gatepost.cli.shared.styled import has_colours, no_colour_option
from gatepost.importers.equivalents import Equivalent, equivalents, named
from gatepost.log.setup import configure_command_log

_TITLES = ("name", "kind", "configured", "about")
_ELSEWHERE = ("server", "plugin", "here", "note")
_WIDTH, _INDENT = 80, "    "


def _names(
    _context: click.Context, _parameter: click.Parameter | None, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a plugin, or one that another server has for it."""
    own = list(available())
    others = [name for row in equivalents() for name in row.names if incomplete]
    found = dict.fromkeys(one for one in (*own, *others) if one.startswith(incomplete))
    return [CompletionItem(name) for name in found]


class _Plugins(SuggestingGroup):
    """A group in which NAME alone is `options NAME`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line."""
        is_command = args[0] in self.commands
        return super().resolve_command(ctx, args if is_command else ["options", *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and names of plugins."""
        return [*super().shell_complete(ctx, incomplete), *_names(ctx, None, incomplete)]


@click.group(
    cls=_Plugins,
    invoke_without_command=True,
    subcommand_metavar="[NAME | COMMAND [ARGS]...]",
    epilog="Example: gatepost plugins search virus",
)
@config_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, file: Path, as_json: bool) -> int:
    """List the plugins that are shipped, installed or configured.

    With NAME, show the hooks and the options of that plugin. NAME can also be that of a plugin of
    qpsmtpd or Haraka. `gatepost plugin new NAME` writes a new one.
    """
    configure_command_log()
    if ctx.invoked_subcommand is not None:
        given = {"file": file, "as_json": as_json}
        ctx.default_map = dict.fromkeys(command.list_commands(ctx), given)
        return 0
    errors: list[str] = []
    _print_all(list(listed_plugins(file, errors)), as_json=as_json)
    for error in errors:
        print_error(error)
    return 1 if errors else 0


@command.command("search", epilog="Example: gatepost plugins search karma")
@click.argument("words", nargs=-1, required=True)
@config_option
@json_option
def search_command(words: tuple[str, ...], *, file: Path, as_json: bool) -> None:
    """Find plugins by words in their names, descriptions and options.

    The names of plugins of qpsmtpd and Haraka, and what they do, are searched too. All words must
    occur.
    """
    found = search(words, listed_plugins(file, []), equivalents())
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found.plugins or found.elsewhere:
        _print_found(found)
    else:
        raise Failure(f"nothing found for {' '.join(words)}; gatepost plugins lists all plugins")


@command.command("show", epilog="Example: gatepost plugins show greylist")
@click.argument("name", shell_complete=_names)
@config_option
@json_option
@no_colour_option
def show(name: str, *, file: Path, as_json: bool, no_colour: bool) -> None:
    """Print the page of the documentation about a shipped plugin.

    Of other plugins, and with --json, the hooks and the options are shown.
    """
    page = page_of(name)
    if page is None or as_json:
        _print_named(name, file, as_json=as_json)
    else:
        print_page(page, colours=has_colours(no_colour=no_colour))


@command.command("options", epilog="Example: gatepost plugins options dnsbl")
@click.argument("name", shell_complete=_names)
@config_option
@json_option
def options(name: str, *, file: Path, as_json: bool) -> None:
    """Show the hooks and the options of a plugin.

    `gatepost plugins NAME` does the same.
    """
    _print_named(name, file, as_json=as_json)


def _print_named(name: str, file: Path, *, as_json: bool) -> None:
    """Write a plugin, or the equivalents of one of another server; raises `Failure`."""
    errors: list[str] = []
    found = list(listed_plugins(file, errors))
    plugin = next((one for one in found if one.name == name), None)
    rows = named(name, equivalents())
    if plugin is not None:
        _print_one(plugin, as_json=as_json)
    elif not rows:
        close = difflib.get_close_matches(name, [one.name for one in found], n=1)
        hint = f"did you mean {close[0]}?" if close else "gatepost plugins lists them"
        raise Failure(f"no plugin {name}; {hint}", *errors)
    elif as_json:
        print_json(msgspec.to_builtins(rows))
    else:
        _print_elsewhere(rows)


def _print_all(found: Sequence[ListedPlugin], *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found:
        _print_plugins(found)
    else:
        print_line("no plugins found; write one with: gatepost plugin new NAME")


def _print_plugins(found: Sequence[ListedPlugin]) -> None:
    rows = [[p.name, p.kind, "yes" if p.configured else "no", p.about] for p in found]
    print_table(_TITLES, rows)


def _print_found(found: Found) -> None:
    if found.plugins:
        _print_plugins(found.plugins)
    if found.plugins and found.elsewhere:
        print_line()
    if found.elsewhere:
        _print_elsewhere(found.elsewhere)


def _print_elsewhere(rows: Sequence[Equivalent]) -> None:
    cells = [[row.server, row.name, _here(row), row.note] for row in rows]
    print_table(_ELSEWHERE, cells)


def _here(row: Equivalent) -> str:
    """Return the equivalents of a plugin: names of plugins, keys and pages."""
    words = [f"plugin {name}" for name in row.references("plugin")]
    words += row.references("key")
    words += [f"docs/{name.partition('#')[0]}.md" for name in row.references("page")]
    return joined(words)


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
