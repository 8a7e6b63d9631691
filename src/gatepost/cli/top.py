"""`gatepost top`: the sessions, rates and workers of the running server, renewed all the time."""

import os
import sys
from pathlib import Path

import click

from gatepost.cli.shared.author import author
from gatepost.cli.shared.live_server import asked, end_text
from gatepost.cli.shared.moments import Duration
from gatepost.cli.shared.output import Failure
from gatepost.cli.shared.settings import config_option, read_config
from gatepost.cli.shared.styled import no_colour_option, print_text
from gatepost.cli.shared.top_figures import MOST_SESSIONS, Sampler
from gatepost.cli.shared.top_words import snapshot
from gatepost.config.schema import Config
from gatepost.process.live import end_sessions

# The shortest interval between two samples, in seconds.
LEAST = 0.5


@click.command(epilog="Example: gatepost top --once")
@click.option("--once", is_flag=True, help="Print the figures and sessions once, then exit.")
@click.option(
    "--interval", type=Duration(), default=2.0, metavar="TIME", help="Renew it so often, as 5s."
)
@click.option(
    "--limit",
    type=click.IntRange(0, MOST_SESSIONS),
    default=20,
    show_default=True,
    help="The sessions that --once prints.",
)
@config_option
@no_colour_option
def command(*, once: bool, interval: float, limit: int, file: Path, no_colour: bool) -> None:
    """Show what the running server does: sessions, rates, reasons of refusals, queue, workers.

    The keys are at the bottom of the screen: sort, filter, end a session, quit. The screen needs
    the package textual (pip install 'gatepost[top]'), --once does not. NO_COLOR turns colours off.
    """
    config = read_config(file)
    sampler = Sampler(config)
    if once:
        print_text(snapshot(sampler.sample(), limit))
    else:
        _run(config, sampler, max(interval, LEAST), no_colour=no_colour)


def _run(config: Config, sampler: Sampler, interval: float, *, no_colour: bool) -> None:
    """Show the screen until the user ends it."""
    if not _is_terminal():
        raise Failure("standard input and output must be a terminal: --once prints the figures")
    if no_colour:
        os.environ["NO_COLOR"] = "1"  # read when the library is imported
    try:
        from gatepost.cli.shared.top_app import Top  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise Failure(
            "top needs the package textual: pip install 'gatepost[top]', or use --once"
        ) from error

    def end(ref: str) -> str:
        try:
            with asked(config.data_dir):
                ended = end_sessions(config.data_dir, [ref], author())
        except click.ClickException as error:
            return error.format_message()
        return end_text(ref, ended.results[ref])

    Top(sampler, end, interval).run()


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
