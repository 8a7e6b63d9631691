"""`gatepost serve`: receive mail in the foreground."""

from pathlib import Path

import click

from gatepost.cli.shared.output import Failure
from gatepost.cli.shared.settings import config_option, read_config
from gatepost.config.schema import Config
from gatepost.log.output import LogFileError
from gatepost.log.setup import configure_log
from gatepost.net.sockets import ListenFailedError
from gatepost.process.pool import PoolError
from gatepost.process.privileges import PrivilegesError
from gatepost.process.supervisor import Supervisor


@click.command(epilog="Example: gatepost serve -c /etc/gatepost/gatepost.toml")
@config_option
def command(file: Path) -> None:
    """Receive mail until SIGTERM or SIGINT.

    Writes one line to standard error when it accepts connections, and the log to standard error
    or to the file of the configuration. The first
    signal lets messages in progress finish; a second one ends the process at once. SIGHUP reloads
    the configuration.
    """
    config = read_config(file)
    configure_log(config.log)
    run(config, file)


def run(config: Config, file: Path) -> None:
    """Serve until stopped; raises `Failure` if the server cannot start."""
    try:
        Supervisor(config, file.absolute()).run()
    except (PoolError, ListenFailedError, PrivilegesError, LogFileError) as error:
        raise Failure(str(error)) from error
