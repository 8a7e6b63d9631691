"""`gatepost try`: one message, tried in memory."""

import asyncio
from pathlib import Path

import click
import msgspec

from gatepost.checks.scratch import progress, scratch
from gatepost.checks.trial.envelope import (
    HELO,
    IP,
    Envelope,
    EnvelopeError,
    Given,
    read_envelope,
    short_message,
)
from gatepost.checks.trial.listing import facts, first_line, verdict
from gatepost.checks.trial.result import Trial, TrialStep
from gatepost.checks.trial.run import run
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line, print_table
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_command_log
from gatepost.plugin.host import PluginError
from gatepost.session.assemble import SetupError

# The options by the field that they set.
_OPTIONS = {
    "ip": "--ip",
    "name": "--name",
    "helo": "--helo",
    "sender": "--from",
    "recipients": "--to",
    "user": "--auth",
    "protocol": "--lmtp",
    "listen": "--listen",
}


@click.command(
    "try",
    epilog="Example: gatepost try --from a@example.org --to bob@example.com --to trap@example.com",
)
@config_option
@json_option
@click.option("--ip", default=IP, show_default=True, help="The client's IP address.")
@click.option(
    "--name", default="", metavar="NAME", help="The client's name, as a proxy reports it (XCLIENT)."
)
@click.option("--helo", default=HELO, show_default=True, help="The client's name in EHLO.")
@click.option(
    "--from", "sender", default="", help="The sender. Default: the null reverse-path, as in DSNs."
)
@click.option(
    "--to", "recipients", multiple=True, required=True, help="A recipient; may be repeated."
)
@click.option(
    "--message",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    help="A file with the message, - for standard input. Default: a short message.",
)
@click.option("--auth", "user", default="", metavar="USER", help="The client has logged in so.")
@click.option("--tls", is_flag=True, help="The connection is encrypted.")
@click.option("--lmtp", is_flag=True, help="The client speaks LMTP.")
@click.option(
    "--listen",
    default="",
    metavar="NAME",
    help="The name of the listener, with its protocol. Default: the first one, and SMTP.",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Print the plugins at each hook, and what they log, from level info on.",
)
def command(
    file: Path,
    *,
    as_json: bool,
    ip: str,
    name: str,
    helo: str,
    sender: str,
    recipients: tuple[str, ...],
    message: Path | None,
    user: str,
    tls: bool,
    lmtp: bool,
    listen: str,
    verbose: bool,
) -> int:
    """Process one message with the configured lists and plugins, in memory, and print each step.

    Nothing is delivered and delays are skipped. Plugins run as in the server, with all their
    effects, but the store is an empty one in memory. The exit status is 0 if the message would be
    accepted for a recipient, 1 if not.
    """
    given = Given(
        ip=ip,
        name=name,
        helo=helo,
        sender=sender,
        recipients=recipients,
        user=user,
        tls=tls,
        protocol="lmtp" if lmtp else "",
        listen=listen,
    )
    config = read_config(file)
    envelope = _envelope(given, config)
    content = short_message(envelope) if message is None else _content(message)
    configure_command_log("info" if verbose else "warning")
    trial = _run(config, envelope, content)
    if as_json:
        print_json(msgspec.to_builtins(trial))
    else:
        _print_trial(trial, len(envelope.recipients), verbose=verbose)
    return 0 if trial.accepted else 1


def _envelope(given: Given, config: Config) -> Envelope:
    try:
        return read_envelope(given, {one.name for one in config.listen})
    except EnvelopeError as error:
        lines = [f"{_OPTIONS[field]}: {text}" for field, text in error.problems.items()]
        raise WrongUsage("\n".join(lines)) from error


def _run(config: Config, envelope: Envelope, content: bytes) -> Trial:
    paths = [config.path(name) for name in config.traps.lists]
    try:
        with scratch(config) as usable, progress(paths):
            return asyncio.run(run(usable, envelope, content))
    except (SetupError, PluginError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error


def _print_trial(trial: Trial, count: int, *, verbose: bool) -> None:
    asked = ("plugins",) if verbose else ()  # too wide for 80 columns
    print_table(
        ("hook", "argument", *asked, "decided by", "decision", "reply"),
        [_row(step, verbose=verbose) for step in trial.steps],
    )
    print_line()
    for line in facts(trial):
        print_line(line)
    print_line(verdict(trial, count))


def _row(step: TrialStep, *, verbose: bool) -> list[str]:
    """Return a step as a row of the table, with the first line of the reply only."""
    asked = [", ".join(step.asked) or "-"] if verbose else []
    reply = first_line(step.reply)
    return [step.hook, step.about, *asked, step.by or "-", step.answer or "-", reply or "-"]


def _content(path: Path) -> bytes:
    try:
        with click.open_file(str(path), "rb") as file:
            content: bytes = file.read()
    except OSError as error:
        raise Failure(f"--message: {describe_os_error(error)}") from error
    return content
