"""An SMTP receiver that decides while the sender is still connected.

The public names are those of `__init__.pyi`; `gatepost.testing` has more for tests. A name is
imported when it is first used, so that a command that needs few modules starts fast.
"""

import re
from importlib import import_module
from pkgutil import get_data

_STUB = (get_data(__name__, "__init__.pyi") or b"").decode("ascii")
_MODULES = {
    name: module
    for module, name in re.findall(r"^from (\S+) import (\w+) as \w+$", _STUB, re.MULTILINE)
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - the stub is the list


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'gatepost' has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
