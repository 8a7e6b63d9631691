"""`gatepost authcheck`: why a message passes or fails SPF, DKIM, ARC and DMARC."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from gatepost.checks.authcheck.answers import Answering, from_dns, from_zone, read_zone
from gatepost.checks.authcheck.bulk import as_data, results, without_brackets
from gatepost.checks.authcheck.evaluation import Envelope, evaluate_all
from gatepost.checks.authcheck.explanation import Report, explain
from gatepost.checks.authcheck.message import Message, read_message
from gatepost.cli.shared.output import Failure, WrongUsage, print_json
from gatepost.cli.shared.settings import DEFAULT_FILE, config_option, json_option, read_config
from gatepost.cli.shared.styled import (
    MOST_COLUMNS,
    has_colours,
    no_colour_option,
    print_styled,
    print_text,
    terminal_width,
)
from gatepost.config.schema import Config
from gatepost.ledger.words.plain_json import value_line
from gatepost.log.os_error import describe_os_error
from gatepost.net.questions import Answer, Question

USUAL_WIDTH = 80
STANDARD_INPUT = "-"
# Cases between two updates of the progress bar.
_STEP = 20


@click.command(
    "authcheck",
    epilog="Example: gatepost authcheck message.eml --ip 192.0.2.1 --helo mail.example.org"
    " --from news@example.org",
)
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True, dir_okay=False))
@click.option("--ip", default="", help="The client's IP address. Without it SPF is not checked.")
@click.option("--helo", default="", help="The client's name in EHLO.")
@click.option(
    "--from", "sender", default="", help="The sender. Default: the null reverse-path, as in DSNs."
)
@click.option(
    "--zone",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A JSON file with DNS records, used instead of the DNS.",
)
@config_option
@json_option
@no_colour_option
def command(
    *,
    path: str,
    ip: str,
    helo: str,
    sender: str,
    zone: Path | None,
    file: Path,
    as_json: bool,
    no_colour: bool,
) -> int:
    """Explain why a message passes or fails SPF, DKIM, ARC and DMARC.

    Prints the results, each record that was looked up, and what to do. Name servers are those of
    [dns] in the configuration, or those of the system without one.

    With - as FILE, read cases as JSON lines from standard input, and print a JSON line for each.
    The exit status is then 1 if a case is wrong.
    """
    envelope = Envelope(_ip(ip), helo, without_brackets(sender))
    if path == STANDARD_INPUT and any(envelope):
        raise WrongUsage("--ip, --helo and --from: with - as FILE, each case has its own")
    with _answering(zone, file) as answering:
        if path == STANDARD_INPUT:
            return _check_all(answering)
        _check_one(path, envelope, answering, as_json=as_json, no_colour=no_colour)
    return 0


def _ip(text: str) -> str:
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise WrongUsage(f"--ip: expected an IP address, found {text!r}") from None


@contextmanager
def _answering(zone: Path | None, file: Path) -> Iterator[Answering]:
    """Yield what answers the questions: the zone, or the DNS of the configuration."""
    if zone is None:
        config = read_config(file) if file != DEFAULT_FILE or file.exists() else Config()
        with from_dns(config) as answering:
            yield answering
        return
    try:
        yield from_zone(read_zone(zone))
    except OSError as error:
        raise Failure(f"--zone: {describe_os_error(error)}") from error
    except ValueError as error:
        raise Failure(f"--zone: {zone}: {error}") from error


def _check_one(
    path: str, envelope: Envelope, answering: Answering, *, as_json: bool, no_colour: bool
) -> None:
    lookups = list[tuple[Question, Answer]]()
    message = _read(path)
    check = evaluate_all(envelope, message, time.time())
    found = answering(check, lambda question, answer: lookups.append((question, answer)))
    if as_json:
        print_json({**as_data(found), "lookups": [*map(_lookup, lookups)]})
        return
    report = Report(path, message.octets, message.bare_lf, envelope, found, lookups)
    width = min(terminal_width() or USUAL_WIDTH, MOST_COLUMNS)
    print_styled(explain(report, width), colours=has_colours(no_colour=no_colour))


def _read(path: str) -> Message:
    try:
        with Path(path).open("rb") as file:
            return read_message(file)
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    except ValueError as error:
        raise Failure(f"{path}: {error}") from error


def _lookup(lookup: tuple[Question, Answer]) -> dict[str, Any]:
    question, answer = lookup
    return {
        "type": question.kind,
        "name": question.name,
        "status": answer.status,
        "records": list(answer.records),
        "problem": answer.problem,
    }


def _check_all(answering: Answering) -> int:
    """Check the cases of standard input; return 1 if one is wrong."""
    status = 0
    with _bar() as show:
        for result in results(sys.stdin.buffer, answering, time.time()):
            print_text([value_line(result)])
            status |= "error" in result
            show()
    return status


@contextmanager
def _bar() -> Iterator[Callable[[], None]]:
    """Yield a function that counts a case on the progress bar of a terminal."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms, only needed on a terminal
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn  # noqa: PLC0415 - likewise

    columns = (SpinnerColumn(), "cases", MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cases", total=None)
        count = 0

        def show() -> None:
            nonlocal count
            count += 1
            if count % _STEP == 0:
                bar.update(task, completed=count)

        yield show
