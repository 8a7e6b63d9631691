"""The configurations with which a message can be tried: that of the server, and files next to it.

Security: a configuration can run code. So a request has only the name of a file in the folder of
the server's configuration. Such a file must be as safe as that of the server: no user but root, the
user of the server and its owner may be able to change it.
Limits: MOST files are offered, by name.
"""

import os
from pathlib import Path

import msgspec

from gatepost.config.load import load_config
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config
from gatepost.process.insecure_files import changeable_by_others

MOST = 100
SUFFIX = ".toml"


class ConfigurationError(ValueError):
    """A name of no file that can be used: what was expected."""


def file_of(config: Config) -> Path | None:
    """Return the file of a configuration, None for one that was built in code."""
    path = config.base / Path(config.source).name
    return path if path.suffix == SUFFIX and path.is_file() else None


def names_of(config: Config) -> list[str]:
    """Return the names of the files in the folder of a configuration; raises OSError."""
    if file_of(config) is None:
        return []
    found = [one.name for one in config.base.iterdir() if one.suffix == SUFFIX and one.is_file()]
    return sorted(found)[:MOST]


def path_of(config: Config, name: str) -> Path:
    """Return the path of a file by its name; raises `ConfigurationError` or OSError."""
    if name not in names_of(config):
        raise ConfigurationError(
            f"expected a {SUFFIX} file in the folder of the configuration, found {name[:200]!r}"
        )
    path = (config.base / name).absolute()
    changeable = changeable_by_others(path, os.geteuid())
    if changeable is not None:
        raise ConfigurationError(
            f"other users can change {name}: expected {changeable} to be writable only by root,"
            " the user of the server and its owner"
        )
    return path


def change_of(config: Config) -> str:
    """Return a note if the file of a configuration is another one now, "" if it is not."""
    path = file_of(config)
    if path is None:
        return ""
    try:
        found = load_config(path)
    except ConfigError as error:
        return f"{path.name} cannot be loaded now: {error.problems[0]}"
    if msgspec.structs.replace(found, base=config.base, source=config.source) == config:
        return ""
    return (
        f"{path.name} has been changed since the server loaded it. A trial uses what the server has"
        f" loaded; compare it with {path.name} to see the effect of a reload."
    )
