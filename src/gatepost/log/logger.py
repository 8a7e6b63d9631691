"""The loggers of Gatepost, also for programs that embed it.

`gatepost serve` configures structlog, and a program can do that too. Otherwise events go to the
standard `logging` as text, and nowhere if the program has not configured that.

Security: by default structlog prints tracebacks with the values of local variables, which can be
passwords. An embedded server must not depend on that default, and its own events have tracebacks
as text only (`gatepost.log.render.format_traceback`).
"""

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from gatepost.log.render import render_message

logging.getLogger("gatepost").addHandler(logging.NullHandler())


class Logger:
    """A logger that applies the configuration of the process when an event is logged.

    It adds `fields` to each event. A bound logger keeps the configuration and level of the time of
    `bind`.
    """

    __slots__ = ("_fields", "_name")

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self._name = name
        self._fields = fields

    def bind(self, **fields: Any) -> Any:
        """Return a logger that adds fields to each event."""
        configured = structlog.is_configured()
        log = structlog.get_logger if configured else _to_logging  # noqa: TID251 - the only place
        return log(self._name).bind(**{**self._fields, **fields})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.bind(), name)


def get_logger(name: str, **fields: Any) -> Any:
    """Return a logger that adds `fields` to each event; `name` starts with `gatepost.`."""
    return Logger(name, fields)


def _to_logging(name: str) -> Any:
    target = logging.getLogger(name)
    level = min(-(-target.getEffectiveLevel() // 10) * 10, logging.CRITICAL)
    return structlog.wrap_logger(
        target,
        processors=[_as_message],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
    )


def _as_message(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return render_message(event)
