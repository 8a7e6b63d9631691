"""The build that runs, compiled or pure Python, and the event loop of the workers.

Both are found by looking at the modules that run, not at a setting: a compiled module is an
extension module, and its source file is not used.
"""

import asyncio
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec

# Modules that every message passes. All are compiled, or none.
_HOT = ("gatepost.wire.smtp.server", "gatepost.session.engine", "gatepost.server.connection")


def is_compiled() -> bool:
    """Return whether the modules that every message passes are compiled."""
    return all(_is_extension(name) for name in _HOT)


def _is_extension(name: str) -> bool:
    spec = find_spec(name)
    return spec is not None and isinstance(spec.loader, ExtensionFileLoader)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory, None without uvloop; with uvloop a message takes half the time."""
    if find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - not on every platform

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def describe_build() -> str:
    """Return "compiled" or "pure Python" and the event loop, for example "compiled, uvloop"."""
    build = "compiled" if is_compiled() else "pure Python"
    return f"{build}, {'uvloop' if loop_factory() else 'asyncio'}"
