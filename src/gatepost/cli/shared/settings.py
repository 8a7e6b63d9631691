"""Common options of commands: `-c FILE`, `--json`, and reading the configuration."""

from pathlib import Path

import click

from gatepost.cli.shared.output import Failure
from gatepost.config.load import load_config
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config

DEFAULT_FILE = Path("gatepost.toml")

config_option = click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=DEFAULT_FILE,
    show_default=True,
    metavar="FILE",
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def read_config(file: Path) -> Config:
    """Read the configuration; raises `Failure` with every error in it."""
    try:
        return load_config(file)
    except ConfigError as error:
        hint = [] if file.exists() else ["gatepost init DIR creates one, -c FILE names another"]
        raise Failure(*map(str, error.problems), *hint) from error
