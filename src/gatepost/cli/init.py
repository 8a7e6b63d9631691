"""`gatepost init`: a starter folder."""

from pathlib import Path

import click

from gatepost.cli.shared.mail_servers import MAIL_SERVERS, MailServer, for_mail_server
from gatepost.cli.shared.output import Failure, print_line
from gatepost.cli.shared.starter import (
    PROFILES,
    STATE_FOLDER,
    create,
    starter,
    with_profile,
    with_system_paths,
    with_tls,
)
from gatepost.log.os_error import describe_os_error
from gatepost.net.self_signed import MissingPackageError, self_signed

# The host name in the starter configuration.
HOSTNAME = "localhost"

NEXT_STEPS = """\
{folder} is ready to serve. Next:

  cd {folder}
  gatepost check             # prints errors, warnings and a summary
  gatepost try --to alice@example.com --to trap@example.com
  gatepost serve             # prints a link to the dashboard

Then set hostname and domains in gatepost.toml, and edit users and verybadrcptto."""

ASKED = """{folder} is ready to serve. Next:

  cd {folder}
  gatepost check             # prints errors, warnings and a summary
  gatepost serve             # prints a link to the dashboard

Then set hostname and domains in gatepost.toml, and edit verybadrcptto.
Add to {file}, so that {name} asks Gatepost:

{settings}"""


@click.command(epilog="Example: gatepost init mail && cd mail && gatepost serve")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--tls", "tls", is_flag=True, help="Enable STARTTLS with a self-signed certificate.")
@click.option(
    "--system", "system", is_flag=True, help=f"Keep data and mail in {STATE_FOLDER}, for a service."
)
@click.option(
    "--profile",
    type=click.Choice(sorted(PROFILES)),
    help="Add plugins. gateway: checks of senders, those that refuse mail in shadow mode.",
)
@click.option(
    "--for",
    "mail_server",
    type=click.Choice(list(MAIL_SERVERS)),
    help="Answer the questions of this mail server, and print the settings that it needs.",
)
def command(
    folder: Path, *, tls: bool, system: bool, profile: str | None, mail_server: str | None
) -> None:
    """Create a folder with a commented configuration, a trap list, and a plugin with its test.

    DIR must be empty or not exist. The certificate of --tls is for tests. It proves no identity,
    but mail servers encrypt with it nevertheless.
    """
    asking = MAIL_SERVERS[mail_server] if mail_server else None
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Failure(f"{folder}: expected a folder that is empty or does not exist yet")
        texts = with_tls(starter(), *self_signed(HOSTNAME)) if tls else starter()
        texts = with_profile(texts, profile) if profile else texts
        texts = for_mail_server(texts, asking) if asking else texts
        create(folder, with_system_paths(texts) if system else texts)
    except MissingPackageError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
    for line in _next_steps(folder, asking).splitlines():
        print_line(line)


def _next_steps(folder: Path, asking: MailServer | None) -> str:
    if asking is None:
        return NEXT_STEPS.format(folder=folder)
    return ASKED.format(folder=folder, file=asking.file, name=asking.name, settings=asking.settings)
