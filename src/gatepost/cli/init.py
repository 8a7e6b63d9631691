"""`gatepost init`: a folder to start from."""

from pathlib import Path

import click

from gatepost.cli.shared.certificate import self_signed
from gatepost.cli.shared.output import Failure, print_line
from gatepost.cli.shared.starter import create, starter, with_tls
from gatepost.log.os_error import describe_os_error

# What the starter configuration has.
HOSTNAME = "localhost"

NEXT_STEPS = """\
{folder} is ready to serve. Next:

  cd {folder}
  gatepost check             # shows what is in force and what looks wrong
  gatepost try --to alice@example.com --to trap@example.com
  gatepost serve

Then put your own into gatepost.toml (hostname, domains), users and verybadrcptto."""


@click.command(epilog="Example: gatepost init mail && cd mail && gatepost serve")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--tls", "tls", is_flag=True, help="Ready STARTTLS, with a self-signed certificate.")
def command(folder: Path, *, tls: bool) -> None:
    """Write a starter folder: a commented configuration, a trap list, a plugin with its test.

    DIR must not exist, or be empty. The certificate of --tls is for trying: it proves nothing to
    anybody, but mail servers encrypt with it all the same.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Failure(f"{folder}: expected a folder that is empty or does not exist yet")
        create(folder, with_tls(starter(), *self_signed(HOSTNAME)) if tls else starter())
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    print_lines(NEXT_STEPS.format(folder=folder))


def print_lines(text: str) -> None:
    """Write several lines to standard output."""
    for line in text.splitlines():
        print_line(line)
