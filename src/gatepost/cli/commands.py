"""All commands in one table, so that help costs no import of what is not asked for."""

import click

from gatepost._version import __version__
from gatepost.cli.shared.lazy import LazyCommand, LazyGroup

COMMANDS = {
    "init": LazyCommand("gatepost.cli.init", "Write a starter folder, ready to serve."),
    "serve": LazyCommand("gatepost.cli.serve", "Receive mail, until told to stop."),
    "check": LazyCommand("gatepost.cli.check", "Validate everything; warn of what looks wrong."),
    "try": LazyCommand("gatepost.cli.try_", "Show what would become of a message."),
    "traps": LazyCommand("gatepost.cli.traps", "List, add, remove and test traps."),
    "users": LazyCommand("gatepost.cli.users", "List, add and remove who may authenticate."),
    "queue": LazyCommand("gatepost.cli.queue", "Show and change mail that is queued or held."),
    "plugins": LazyCommand("gatepost.cli.plugins", "Show the plugins there are."),
    "plugin": LazyCommand("gatepost.cli.plugin", "Write a new plugin and its test."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog="Example: gatepost init mail && cd mail && gatepost serve",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gatepost")
def gatepost() -> None:
    """Receive mail and decide, while the sender is still connected, whether it may come in."""
