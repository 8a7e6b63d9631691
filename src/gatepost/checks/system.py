"""The account and the limits that the system gives the server.

Limits: a service manager may start the server with another account and other limits than those of
the command.
"""

from collections.abc import Iterator

from gatepost.checks.account import serving
from gatepost.config.schema import Config
from gatepost.process.open_files import needed_files, possible_files
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def root(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of a server that keeps the rights of root."""
    try:
        account = serving(config)
    except KeyError:
        return  # the report has an error about the user
    if account.uid == 0:
        yield (
            "server.user: started by root, the server and its plugins keep all rights of root:"
            ' expected a user such as "gatepost", or a service manager that sets one'
        )


def open_files(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn if the connections of a worker can use more files than the system allows."""
    needed, possible = needed_files(config), possible_files()
    if needed > possible:
        yield (
            f"limits.connections: {config.limits.connections} connections can need {needed} open"
            f" files, but the hard limit here is {possible} (ulimit -Hn): expected a higher limit"
            " for the service, or fewer connections"
        )
