"""What a plugin is: a class with one method per hook.

    class NoMondays(Plugin):
        class Options(Plugin.Options):
            day: int = 0

        def on_rcpt(self, tx, rcpt):
            if tx.received_at.weekday() == self.options.day:
                return deny("closed today", reason="monday")

A method may be `def` or `async def`. Everything else a plugin needs is handed to it: `options`,
`log`, `clock`, and the session or transaction in each call.
"""

import re
from collections.abc import Collection
from typing import Any, ClassVar

import msgspec
import structlog

from gatepost.plugin.clock import Clock, SystemClock

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class OptionsError(ValueError):
    """Options that the plugin does not take; the message says which and what was expected."""


class BaseOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a plugin: annotated fields, with a default where one makes sense."""


class Plugin:
    """Base of all plugins. Keyword arguments are its options; raises `OptionsError`.

    `before` and `after` name plugins that must come later or earlier, whatever the configured
    order; `blocking` has the plugin's synchronous methods run in a thread, for work that takes
    longer than a millisecond.
    """

    class Options(BaseOptions):
        """None, unless a plugin has an `Options(Plugin.Options)` of its own."""

    before: ClassVar[Collection[str]] = ()
    after: ClassVar[Collection[str]] = ()
    blocking: ClassVar[bool] = False

    def __init__(self, **options: Any) -> None:
        try:
            self.options: Any = msgspec.convert(options, self.Options)
        except msgspec.ValidationError as error:
            raise OptionsError(str(error)) from error
        self.name = _WORD_START.sub("_", type(self).__name__).lower()
        self.log: Any = structlog.get_logger("gatepost.plugin")
        self.clock: Clock = SystemClock()

    async def start(self) -> None:
        """Get ready, before the first connection; an exception keeps the server from starting."""

    async def stop(self) -> None:
        """Clean up, after the last connection."""
