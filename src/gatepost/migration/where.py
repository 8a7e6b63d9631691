"""The folder of a configuration: that of the server, or its folder `config`."""

from pathlib import Path

_PLUGINS = "plugins"


class NoConfigError(ValueError):
    """The folder has no configuration of the server."""


def find_config(folder: Path, server: str) -> tuple[Path, Path]:
    """Return the folder of the server, and that of its configuration; raises `NoConfigError`."""
    config = next((c for c in (folder / "config", folder) if (c / _PLUGINS).is_file()), None)
    if config is None:
        expected = f"expected the folder of {server}, or its folder config"
        raise NoConfigError(f"{folder}: no file config/plugins; {expected}")
    return config.parent if config.absolute().name == "config" else config, config
