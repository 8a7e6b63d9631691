"""The log of a process: one line for each event, as JSON or as text.

Theory of operation
-------------------
An event below the level costs one call of an empty function. Any other event is rendered by one
function (`gatepost.log.render`), straight to the bytes of the line, and written with one system
call. Lines of several processes that share a pipe therefore do not mix. Records of libraries that
use `logging` take the same path.

Limits: the code that logs an event bounds its size. See `gatepost.log.output` for lines that cannot
be written.
"""

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import structlog

from gatepost.config.schema import LogConfig
from gatepost.log.logger import get_logger
from gatepost.log.output import STANDARD_ERROR, Output
from gatepost.log.render import RENDERERS, Renderer, render_json, render_text
from gatepost.log.terminal import terminal_renderer

_LEVELS = ("debug", "info", "warning", "error", "critical")

_output = Output()

_log = get_logger("gatepost.python")


def configure_log(log: LogConfig, file: Path | None = None) -> None:
    """Apply the `[log]` table to this process; `file` is the path of `log.file`.

    A file that cannot be opened is no error here, see `gatepost.log.output.probe`.
    """
    _output.use(file)
    _configure(_renderer(log.format, file), log.level)


def reopen_log() -> None:
    """Open the log file again."""
    _output.reopen()


def detach_log() -> None:
    """Write to standard error: a forked process does not have the file of its parent."""
    _output.detach()


def _renderer(name: str, file: Path | None) -> Renderer:
    """Return the renderer of a format; "auto" depends on whether a person reads along."""
    if name != "auto":
        return RENDERERS[name]
    if file is None and os.isatty(STANDARD_ERROR):
        return terminal_renderer(os.environ)
    return render_json


def configure_command_log(level: str = "error") -> None:
    """Log as text, only errors by default: for commands that print their own result."""
    _configure(render_text, level)


def _configure(render: Renderer, level: str) -> None:
    structlog.configure(
        processors=[render],
        wrapper_class=_loggers_of(level),
        logger_factory=LineWriter,
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=level.upper(), force=True)
    warnings.showwarning = _log_warning


def _loggers_of(level: str) -> type[Any]:
    """Return the class of loggers for a level.

    It renders and writes at once: there is one processor, and a chain costs as much as the line.
    """
    base: type[Any] = structlog.make_filtering_bound_logger(level)
    lowest = logging.getLevelNamesMapping()[level.upper()]
    names = [name for name in _LEVELS if logging.getLevelNamesMapping()[name.upper()] >= lowest]
    return type("LineLogger", (base,), {name: _method(name, getattr(base, name)) for name in names})


def _method(level: str, usual: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of a level; `usual` is for a text with arguments."""

    def log(self: Any, event: str, *args: Any, **fields: Any) -> Any:
        if args:
            return usual(self, event, *args, **fields)
        if self._context:
            fields = {**self._context, **fields}
        fields["event"] = event
        try:
            line = self._processors[0](self._logger, level, fields)
        except structlog.DropEvent:  # a test collects the events
            return None
        return self._logger.write(line)

    return log


def _log_warning(  # noqa: PLR0917 - the arguments are Python's
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a warning of Python, such as the one of a coroutine that was never awaited."""
    del file, line
    fields = {"category": category.__name__, "problem": str(message)}
    _log.warning("python warning", **fields, file=f"{filename}:{lineno}")


class LineWriter:
    """The logger that structlog wraps; it receives finished lines. `name` is the logger's name."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    # Write one line, which includes its line end.
    write = debug = info = warning = error = critical = _output.write


class _LibraryHandler(logging.Handler):
    """Passes records of libraries, above all asyncio, to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record as an event."""
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log = get_logger(record.name)
        log.log(level, record.getMessage(), exc_info=record.exc_info)
