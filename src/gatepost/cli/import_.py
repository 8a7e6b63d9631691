"""`gatepost import`: a configuration made from that of qpsmtpd or Haraka."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gatepost.cli.shared import importing
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.settings import json_option

# The folder in which qpsmtpd looks for files that are not in its own.
CONTROL = Path("/var/qmail/control")

_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_out = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("mail"),
    show_default=True,
    help="The new folder. It must be empty or not exist.",
)
_dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the report and the configuration, and write nothing."
)
_follow = click.option(
    "--follow", is_flag=True, help="Read links and included files outside of DIR too."
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (json_option, _follow, _dry_run, _out, _folder):
        command = option(command)
    return command


@click.group(
    cls=SuggestingGroup,
    epilog="Example: gatepost import qpsmtpd /home/smtpd/qpsmtpd --out mail && cd mail",
)
def command() -> None:
    """Make a configuration from that of another mail server.

    The report shows what was taken over, what is different here, and what was left out and why.
    Nothing in the folder of the other server is changed.
    """


@command.command("qpsmtpd", epilog="Example: gatepost import qpsmtpd /home/smtpd/qpsmtpd --dry-run")
@_options
@click.option(
    "--control",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=CONTROL,
    show_default=True,
    help="The folder of qmail, for files that are not in DIR.",
)
def from_qpsmtpd(
    folder: Path, *, control: Path, out: Path, dry_run: bool, follow: bool, as_json: bool
) -> int:
    """Make a configuration from that of qpsmtpd. DIR is its folder, or its folder config.

    Honeypot addresses of check_verybadrcptto become traps. Passwords are not copied.

    The exit status is 0 if the folder was written and `gatepost check` finds no error in it,
    otherwise 1. What is left out does not change it.
    """
    from gatepost.migration.qpsmtpd.reading import read  # noqa: PLC0415 - for this command only

    with importing.problems():
        job = read(folder, control, follow=follow)
    return importing.finish(
        job, f"qpsmtpd in {folder.absolute()}", out, dry_run=dry_run, as_json=as_json
    )


@command.command("haraka", epilog="Example: gatepost import haraka /etc/haraka --out mail")
@_options
def from_haraka(folder: Path, *, out: Path, dry_run: bool, follow: bool, as_json: bool) -> int:
    """Make a configuration from that of Haraka. DIR is its folder, or its folder config.

    Passwords are not copied. The exit status is 0 if the folder was written and `gatepost check`
    finds no error in it, otherwise 1. What is left out does not change it.
    """
    from gatepost.migration.haraka.reading import read  # noqa: PLC0415 - for this command only

    with importing.problems():
        job = read(folder, follow=follow)
    return importing.finish(
        job, f"Haraka in {folder.absolute()}", out, dry_run=dry_run, as_json=as_json
    )
