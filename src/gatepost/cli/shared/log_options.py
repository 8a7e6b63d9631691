"""Common options of commands that read the logs of a mail server, and their progress bar."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from gatepost.importers.registry import FORMATS

FILE = click.Path(path_type=Path, dir_okay=False)

more_argument = click.argument("more", nargs=-1, type=FILE, metavar="[FILE]...")
log_option = click.option(
    "--log",
    "logs",
    multiple=True,
    required=True,
    type=FILE,
    metavar="FILE",
    help="A log file, also compressed. The oldest first.",
)
format_option = click.option(
    "--format",
    "name",
    type=click.Choice(list(FORMATS)),
    help="The server that wrote the log. Default: detected.",
)


@contextmanager
def log_bar(name: str, paths: Sequence[Path], passes: int = 1) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the octets read; it draws a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _octets: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms, only needed on a terminal
    from rich.progress import Progress  # noqa: PLC0415 - likewise

    total = sum(path.stat().st_size for path in paths if path.is_file()) * passes
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda octets: bar.advance(task, octets)
