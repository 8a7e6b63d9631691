"""Imports that take less time, for the commands.

Most of the time until a command runs is the import of modules. A garbage collection during or after
imports finds nothing. structlog imports rich for a form of tracebacks that Gatepost does not use.
Without rich it uses the one of Python, which does not show the values of variables.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


def import_fast(name: str) -> ModuleType:
    """Import a module of Gatepost and all that it needs; raises ImportError."""
    with _without_collections():
        _import_structlog()
        return import_module(name)


@contextmanager
def _without_collections() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # modules stay; the next collection would examine all of them
        if was_enabled:
            gc.enable()


def _import_structlog() -> None:
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # an import of it then fails
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]
