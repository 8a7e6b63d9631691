"""`gatepost try`: one message, tried in memory."""

import asyncio
from ipaddress import ip_address
from pathlib import Path

import click
import msgspec

from gatepost.checks.scratch import progress, scratch
from gatepost.checks.trial import Envelope, Trial, TrialStep, run, short_message
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line, print_table
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_command_log
from gatepost.model.address import NULL_PATH, Address, AddressError
from gatepost.plugin.host import PluginError
from gatepost.session.assemble import SetupError


@click.command(
    "try",
    epilog="Example: gatepost try --from a@example.org --to bob@example.com --to trap@example.com",
)
@config_option
@json_option
@click.option("--ip", default="192.0.2.1", show_default=True, help="The client's IP address.")
@click.option(
    "--helo", default="client.example", show_default=True, help="The client's name in EHLO."
)
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
    envelope = Envelope(
        _ip(ip),
        _helo(helo),
        _sender(sender),
        [_address("--to", one) for one in recipients],
        user,
        tls,
        "lmtp" if lmtp else "",
        listen,
    )
    content = short_message(envelope) if message is None else _content(message)
    config = read_config(file)
    if listen and listen not in {one.name for one in config.listen}:
        raise WrongUsage(f"--listen: no listener has the name {listen!r}")
    configure_command_log("info" if verbose else "warning")
    trial = _run(config, envelope, content)
    if as_json:
        print_json(msgspec.to_builtins(trial))
    else:
        _print_trial(trial, len(envelope.recipients), verbose=verbose)
    return 0 if trial.accepted else 1


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
    _print_work(trial)
    for signature in trial.broken_signatures:
        print_line(f"warning: the edits invalidate the {signature}")
    for change in trial.changes:
        print_line(str(change))
    if trial.changes and trial.final:
        print_line(f"final recipients: {', '.join(trial.final)}")
    for recipients in trial.submitted:
        print_line(f"submitted a message to {', '.join(recipients)}")
    for trap in trial.traps:
        print_line(f"trap: {trap}")
    if trial.delay:
        print_line(f"delay: {trial.delay:g} s before the reply")
    print_line(_result(trial, count))


def _print_work(trial: Trial) -> None:
    """Print what plugins have found and done, or would have done in shadow mode."""
    for result in trial.results:
        print_line(f"result: {result}")
    for opinion in trial.shadowed:
        print_line(opinion)
    for edit in trial.edits:
        print_line(str(edit))
    for edit in trial.shadowed_edits:
        print_line(f"would have edited: {edit}")


def _result(trial: Trial, count: int) -> str:
    accepted = len(trial.recipients)
    if not accepted:
        return "deferred" if trial.steps[-1].reply.startswith("4") else "refused"
    if accepted == count:
        return "accepted"
    return f"accepted for {accepted} of {count} recipients: {', '.join(trial.recipients)}"


def _row(step: TrialStep, *, verbose: bool) -> list[str]:
    """Return a step as a row of the table, with the first line of the reply only."""
    first, _, more = step.reply.partition("\n")
    reply = f"{first} …" if more else first
    asked = [", ".join(step.asked) or "-"] if verbose else []
    return [step.hook, step.about, *asked, step.by or "-", step.answer or "-", reply or "-"]


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise WrongUsage(f"--ip: expected an IP address, found {text!r}") from None


def _helo(text: str) -> str:
    if not text.isprintable() or not text.isascii() or not text or " " in text:
        raise WrongUsage(f"--helo: expected a name such as client.example, found {text!r}")
    return text


def _sender(text: str) -> Address:
    return NULL_PATH if text in {"", "<>"} else _address("--from", text)


def _address(option: str, text: str) -> Address:
    if text.lower() == "postmaster":
        return Address(text, "")
    try:
        return Address.parse(text)
    except AddressError as error:
        raise WrongUsage(f"{option}: {error}") from error


def _content(path: Path) -> bytes:
    try:
        with click.open_file(str(path), "rb") as file:
            content: bytes = file.read()
    except OSError as error:
        raise Failure(f"--message: {describe_os_error(error)}") from error
    return content
