"""Output of commands: errors to standard error, data to standard output, as text or JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from gatepost.log.printable import printable


class Failure(click.ClickException):
    """A failed command: exit status 1, and one line for each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))


class WrongUsage(click.ClickException):
    """A wrong argument or option: exit status 2."""

    exit_code = 2


def print_error(text: str) -> None:
    """Write each line to standard error, with the prefix `gatepost: `."""
    for line in text.splitlines():
        click.echo(f"gatepost: {printable(line)}", err=True)


def print_line(text: str = "") -> None:
    """Write a line to standard output, safe for a terminal."""
    click.echo(printable(text))


def print_json(data: Any) -> None:
    """Write data to standard output as JSON."""
    click.echo(json.dumps(data, indent=2))


def print_content(pieces: Iterable[bytes]) -> None:
    """Write a message to standard output: unchanged, but on a terminal escaped line by line."""
    if not sys.stdout.isatty():
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _print_octets(line)
    if rest:
        _print_octets(rest)


def _print_octets(line: bytes) -> None:
    print_line(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))


def joined(words: Iterable[str]) -> str:
    """Return the words separated by commas, `none` if there is no word."""
    return ", ".join(words) or "none"


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table: wrapped and with bold headers on a terminal, otherwise plain."""
    safe = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(headers, safe)
    else:
        for line in plain_table(headers, safe):
            click.echo(line)


def _rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms, only needed on a terminal
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(*headers, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
