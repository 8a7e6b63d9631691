"""The pages of the documentation about shipped plugins, printed by a command.

An installed package has them in the folder `pages`, a checkout in `docs/shipped`. They are trusted:
both are parts of the program.
"""

import re
import sys
from pathlib import Path

import click

import gatepost
from gatepost.plugin.loader import builtin_names

_PACKAGE = Path(gatepost.__file__).parent
_FOLDERS = (_PACKAGE / "pages", _PACKAGE.parents[1] / "docs" / "shipped")
# Links to other pages have no target on a terminal, and comments are for the generator.
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\)")
_COMMENT = re.compile(r"^<!--.*-->\n\n?", re.MULTILINE)


def page_of(name: str) -> str | None:
    """Return the page about a shipped plugin as Markdown, None for a plugin that is not shipped."""
    if name not in builtin_names():
        return None
    paths = (folder / f"{name}.md" for folder in _FOLDERS)
    found = next((path for path in paths if path.is_file()), None)
    return None if found is None else _COMMENT.sub("", found.read_text("utf-8"))


def print_page(page: str, *, colours: bool) -> None:
    """Write a page to standard output: formatted on a terminal, otherwise as Markdown."""
    if not sys.stdout.isatty():
        click.echo(page, nl=False)
        return
    from gatepost.cli.shared.rich_page import print_markdown  # noqa: PLC0415 - takes 50 ms

    print_markdown(_LINK.sub(r"\1", page), colours=colours)
