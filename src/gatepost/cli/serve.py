"""`gatepost serve`: receive mail in the foreground.

The first SIGTERM or SIGINT has messages under way come to their end; a second one ends the process
at once. SIGHUP reads the configuration again.
"""

from pathlib import Path

import click

from gatepost.cli.shared.output import Failure
from gatepost.cli.shared.settings import config_option, read_config
from gatepost.config.schema import Config
from gatepost.log.setup import configure_log
from gatepost.net.sockets import ListenFailedError
from gatepost.process.pool import PoolError
from gatepost.process.privileges import PrivilegesError
from gatepost.process.supervisor import Supervisor


@click.command(epilog="Example: gatepost serve -c /etc/gatepost/gatepost.toml")
@config_option
def command(file: Path) -> None:
    """Receive mail as the configuration says, until SIGTERM or SIGINT.

    Says so in one line on standard error once connections are accepted, then logs there. Messages
    that are on their way at the end still come in. SIGHUP applies a changed configuration.
    """
    config = read_config(file)
    configure_log(config.log)
    run(config, file)


def run(config: Config, file: Path) -> None:
    """Serve until told to stop; raises `Failure` if the server cannot start."""
    try:
        Supervisor(config, file.absolute()).run()
    except (PoolError, ListenFailedError, PrivilegesError) as error:
        raise Failure(str(error)) from error
