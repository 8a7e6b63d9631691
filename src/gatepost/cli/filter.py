"""`gatepost filter`: the filter of OpenSMTPD."""

import asyncio
import sys

import click

from gatepost.cli.shared.output import Failure
from gatepost.config.listen import InheritedSocket, ListenError, parse_listen_address
from gatepost.process.filter import ACCEPT, DEFER, serve

UNAVAILABLE = {"defer": DEFER, "accept": ACCEPT}


@click.command(epilog="Example: gatepost filter 127.0.0.1:10040")
@click.argument("address", metavar="ADDRESS")
@click.option(
    "--unavailable",
    type=click.Choice(list(UNAVAILABLE)),
    default="defer",
    show_default=True,
    help="What mail servers get while Gatepost does not answer.",
)
def command(address: str, unavailable: str) -> None:
    """Pass the requests of OpenSMTPD to a listener with protocol = "policy".

    OpenSMTPD runs this program, see `filter` in smtpd.conf. ADDRESS is that of the listener, such
    as 127.0.0.1:10040 or unix:/run/gatepost/policy.
    """
    try:
        found = parse_listen_address(address)
    except ListenError as error:
        raise click.BadParameter(str(error)) from error
    if isinstance(found, InheritedSocket):
        raise click.BadParameter("expected an address to connect to, found an open socket")
    if is_terminal():
        raise Failure("expected the lines of OpenSMTPD on standard input, found a terminal")
    asyncio.run(serve(found, UNAVAILABLE[unavailable]))


def is_terminal() -> bool:
    """Return whether a person has started the program."""
    return sys.stdin.isatty()
