"""The table of all commands. `gatepost --help` needs only this table and imports no command."""

import click

from gatepost._version import __version__
from gatepost.cli.shared.lazy import LazyCommand, LazyGroup

COMMANDS = {
    "init": LazyCommand("gatepost.cli.init", "Create a starter folder, ready to serve."),
    "import": LazyCommand("gatepost.cli.import_", "Take over qpsmtpd's or Haraka's configuration."),
    "serve": LazyCommand("gatepost.cli.serve", "Receive mail in the foreground."),
    "status": LazyCommand("gatepost.cli.status", "Show whether the server runs and is well."),
    "sessions": LazyCommand("gatepost.cli.sessions", "Show and end the open sessions."),
    "top": LazyCommand("gatepost.cli.top", "Watch sessions, rates, queue and workers."),
    "check": LazyCommand("gatepost.cli.check", "Check the configuration, lists and plugins."),
    "filter": LazyCommand("gatepost.cli.filter", "Answer the questions of OpenSMTPD."),
    "try": LazyCommand("gatepost.cli.try_", "Show how the server would answer a message."),
    "replay": LazyCommand("gatepost.cli.replay", "Decide recorded mail again, without effect."),
    "authcheck": LazyCommand("gatepost.cli.authcheck", "Explain SPF, DKIM and DMARC of mail."),
    "explain": LazyCommand("gatepost.cli.explain", "Explain what happened to a message."),
    "log": LazyCommand("gatepost.cli.log", "Print connections, messages and deliveries."),
    "report": LazyCommand("gatepost.cli.report", "Print the numbers of a day."),
    "dmarc": LazyCommand("gatepost.cli.dmarc", "Report DMARC results, also for domain owners."),
    "traps": LazyCommand("gatepost.cli.traps", "List, add, remove and test traps."),
    "allow": LazyCommand("gatepost.cli.allow", "Allow mail that plugins refuse, until a time."),
    "table": LazyCommand("gatepost.cli.table", "Look keys up in a table, as postmap -q."),
    "users": LazyCommand("gatepost.cli.users", "List, add and remove users for authentication."),
    "web": LazyCommand("gatepost.cli.web", "Manage the users of the dashboard."),
    "queue": LazyCommand("gatepost.cli.queue", "Show and change queued and held mail."),
    "plugins": LazyCommand("gatepost.cli.plugins", "List, search and explain plugins."),
    "plugin": LazyCommand("gatepost.cli.plugin", "Create a new plugin and its test."),
    "completion": LazyCommand("gatepost.cli.completion", "Print a script for the shell."),
}


def _print_version(context: click.Context, _option: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click's
    if not given or context.resilient_parsing:
        return
    from gatepost._build import describe_build  # noqa: PLC0415 - only for this option

    click.echo(f"gatepost, version {__version__} ({describe_build()})")
    context.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog="Example: gatepost init mail && cd mail && gatepost serve",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version, and whether it is compiled, then exit.",
)
def gatepost() -> None:
    """Receive mail by SMTP, and accept or refuse it while the client is connected."""
