"""Options that select records of the ledger by their time, client, sender and recipients."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import click

from gatepost.cli.shared.moments import Moment
from gatepost.cli.shared.output import WrongUsage
from gatepost.ledger.selection import Selection


def record_options(since: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options; `since` is the default of `--since`.

    The command gets the arguments of `selection_of`.
    """
    options = (
        click.option(
            "--since",
            type=Moment(),
            default=since,
            show_default=since is not None,
            metavar="TIME",
            help="From this time on, as 2h.",
        ),
        click.option("--until", type=Moment(), metavar="TIME", help="Before this time."),
        click.option("--from", "sender", metavar="ADDRESS", help="This sender or its domain."),
        click.option("--to", metavar="ADDRESS", help="This recipient or its domain."),
        click.option("--ip", "client", metavar="IP", help="This client or network."),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def selection_of(
    *,
    since: float | None,
    until: float | None,
    sender: str | None,
    to: str | None,
    client: str | None,
    **conditions: Any,
) -> Selection:
    """Return the selection of the options, with more conditions; raises `WrongUsage`."""
    if client is not None:
        _check_client(client)
    return Selection(
        since=since or 0.0,
        until=until or 0.0,
        sender=sender or "",
        to=to or "",
        client=client or "",
        **conditions,
    )


def _check_client(text: str) -> None:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise WrongUsage(
            f"--ip: expected an IP address or a network such as 192.0.2.0/24, found {text!r}"
        ) from None
