"""`gatepost sessions`: the open sessions of a running server, and their end."""

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click
import msgspec

from gatepost.cli.shared.author import author
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.live_server import asked, end_text
from gatepost.cli.shared.moments import Duration
from gatepost.cli.shared.output import (
    WrongUsage,
    print_error,
    print_json,
    print_line,
    print_table,
)
from gatepost.cli.shared.session_rows import filled
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.ledger.words.wording import counted
from gatepost.process.live import Live, end_sessions, live_sessions
from gatepost.server.control_socket import MOST, SessionsRequest


def _with_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select sessions."""
    options = (
        click.option("--client", default="", metavar="IP", help="This client or network."),
        click.option("--listener", default="", metavar="NAME", help="This listener."),
        click.option(
            "--waiting-for", "plugin", default="", metavar="PLUGIN", help="Those that it holds up."
        ),
        click.option(
            "--older", type=Duration(), default=0.0, metavar="TIME", help="Open for longer, as 30s."
        ),
        click.option(
            "--limit",
            type=click.IntRange(1, MOST),
            default=1000,
            show_default=True,
            help="Print at most this many, the oldest first.",
        ),
        config_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(
    cls=SuggestingGroup,
    invoke_without_command=True,
    epilog="Example: gatepost sessions --waiting-for rspamd --older 10s",
)
@_with_filters
@click.pass_context
def command(context: click.Context, /, *, file: Path, as_json: bool, **conditions: Any) -> int:
    """Show the open sessions of the running server, the oldest first; `end` ends some of them.

    `step` is the command that is being handled, or the last one, and `waits for` the plugin that
    it waits for. --json has more of each session.
    """
    if context.invoked_subcommand is not None:
        return 0
    _check_network(conditions["client"])
    config = read_config(file)
    with asked(config.data_dir):
        live = live_sessions(config.data_dir, SessionsRequest(**conditions))
    if as_json:
        print_json(msgspec.to_builtins(live))
    else:
        _print(live)
    return _report_silent(live.silent)


def _check_network(text: str) -> None:
    try:
        ip_network(text or "::", strict=False)
    except ValueError:
        raise WrongUsage(
            f"--client: expected an IP address or a network such as 192.0.2.0/24, found {text!r}"
        ) from None


def _print(live: Live) -> None:
    columns = filled(live.sessions)
    if columns:
        cells = zip(*(texts for _, texts in columns), strict=True)
        print_table([column.heading for column, _ in columns], list(cells))
    left = live.matched - len(live.sessions)
    more = f", {left} of them not shown (--limit)" if left else ""
    workers = counted(len(live.workers), "worker")
    print_line(f"{counted(live.matched, 'session')} in {workers}{more}")


def _report_silent(silent: Sequence[int]) -> int:
    """Name the processes that do not answer; return the exit status."""
    for pid in silent:
        print_error(f"process {pid} does not answer, its sessions are missing")
    return 1 if silent else 0


@command.command(epilog="Example: gatepost sessions end 4f1c2b7a-1f")
@click.argument("refs", nargs=-1, required=True, metavar="REFERENCE...")
@config_option
@json_option
def end(*, refs: Sequence[str], file: Path, as_json: bool) -> int:
    """End sessions by their reference, or that of their transaction.

    The client gets 421 and may connect again. A command that is being handled is cancelled, unless
    it delivers a message. The log and the ledger record it.
    """
    config = read_config(file)
    with asked(config.data_dir):
        ended = end_sessions(config.data_dir, list(dict.fromkeys(refs)), author())
    if as_json:
        print_json(msgspec.to_builtins(ended))
    for ref, result in ended.results.items():
        if result != "ended":
            print_error(end_text(ref, result))
        elif not as_json:
            print_line(end_text(ref, result))
    is_complete = set(ended.results.values()) == {"ended"}
    return _report_silent(ended.silent) or int(not is_complete)
