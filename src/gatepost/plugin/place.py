"""The place of a plugin in the configuration, for relative paths and for error messages."""

from pathlib import Path
from typing import Any

import msgspec

from gatepost.config.problem import Location


class Place(msgspec.Struct, frozen=True):
    """The place of a plugin in the configuration.

    `base` is the folder that relative paths start at, `data_dir` the server's data folder. `source`
    is the configuration file with the name of the plugin, and `key` the table of the options
    (`plugin[0].options`). The defaults are those of a plugin that is created in code. `files` has
    the list files of all plugins, by the kind of list and path: a file is read once, and its
    problems are reported once.
    """

    base: Path = Path()
    data_dir: Path = Path("var")
    source: str = ""
    key: str = ""
    files: dict[tuple[type, Path], Any] = msgspec.field(default_factory=dict)

    def for_domain(self, domain: str) -> "Place":
        """Return the place of the options for one domain."""
        table = Location(self.source)
        table.key = f"{self.key.removesuffix('options')}options_for"
        return msgspec.structs.replace(self, key=table.member(domain).key)

    @property
    def location(self) -> Location:
        """The location of the options, for a new list of problems."""
        location = Location(self.source)
        location.key = self.key
        return location
