"""Refuse the network and programs to this process during a replay.

Connections, look-ups of the system and programs raise `PermissionError`, by an audit hook of
Python. Such a hook cannot be removed: it stays, and does nothing outside of a replay. A plugin that
cannot start for this reason is left out.

Limits: an extension in C can use the network without Python, which is not noticed. Plugins can
write files.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gatepost.checks.replay.stand_ins import UnknownResolver
from gatepost.checks.replay.uses import OUTSIDE, Uses
from gatepost.plugin.base import Plugin

_REFUSED = "a replay has no network and runs no program"
_EVENTS = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.system",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
        "subprocess.Popen",
    }
)


class _Guard:
    """The audit hook; `uses` is set during a replay."""

    def __init__(self) -> None:
        self.uses: Uses | None = None
        self.installed = False

    def __call__(self, event: str, _args: tuple[Any, ...]) -> None:
        if self.uses is not None and event in _EVENTS:
            self.uses.note("", OUTSIDE)
            raise PermissionError(_REFUSED)


_guard = _Guard()


@contextmanager
def isolated(uses: Uses) -> Iterator[None]:
    """Refuse the network and programs to this process during the block."""
    if not _guard.installed:
        sys.addaudithook(_guard)
        _guard.installed = True
    _guard.uses = uses
    try:
        yield
    finally:
        _guard.uses = None


def enclose(plugin: Plugin, uses: Uses) -> None:
    """Give a plugin its resolver before it starts, and note it if it could not start without more.

    `uses.unable` has the name then, and `start` raises what it raised.
    """
    start = plugin.start

    async def enclosed() -> None:
        plugin.resolver = UnknownResolver(uses, plugin.name)
        before = uses.all["", OUTSIDE]
        try:
            result: Any = start()
            if inspect.isawaitable(result):
                await result
        except Exception:
            if uses.all["", OUTSIDE] > before:
                uses.unable.add(plugin.name)
                uses.note(plugin.name, OUTSIDE)
            raise

    plugin.start = enclosed  # type: ignore[method-assign]
