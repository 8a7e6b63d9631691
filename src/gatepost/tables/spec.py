"""The specification of a table, as the classes of the types get it."""

from pathlib import Path
from typing import Any

import msgspec


class TableSpecError(ValueError):
    """The specification of a table is wrong; the text has what was expected."""


class TableSpec(msgspec.Struct, frozen=True):
    """A table as configured: the argument of the class of its type.

    `name` is the whole specification, `rest` what follows the type. `options` is the struct of its
    section, None for a type without one. Relative paths start at `base`; `cache_dir` is for files
    that can be made again. The class raises ValueError ("expected …") for a wrong `rest`.
    """

    name: str
    rest: str
    base: Path
    cache_dir: Path
    options: Any = None
