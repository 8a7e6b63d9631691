"""The log on standard error: one line an event, as JSON for collectors or as text for people.

Theory of operation
-------------------
An event below the level costs one call of a function that does nothing. Any other is rendered by
one function, straight to the line's bytes, and leaves in one write, so that lines of several
processes that share a pipe do not mix. What libraries say through `logging` takes the same way.

Security: values come from clients. Whatever is in them, an event stays one line and no character
of it acts on a terminal; only a traceback in the text format is several lines, each indented.

Limits: none of its own; who logs bounds what it logs. A log that cannot be written is lost
silently, because there is nowhere left to say so and mail is more important.
"""

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from gatepost.config.schema import LogConfig
from gatepost.log.printable import printable

_STANDARD_ERROR = 2
_QUOTED = frozenset(' "=\\,[]')


def configure(log: LogConfig) -> None:
    """Log as `[log]` says, for the rest of the process."""
    _configure(RENDERERS[log.format], log.level, keep=True)


def configure_command() -> None:
    """Log errors only, as text: for commands that show by themselves what happens."""
    _configure(render_text, "error", keep=False)


def _configure(render: "Renderer", level: str, *, keep: bool) -> None:
    structlog.configure(
        processors=[render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=Lines,
        cache_logger_on_first_use=keep,
    )
    logging.basicConfig(handlers=[_FromLibraries()], level=level.upper(), force=True)


class Lines:
    """What structlog hands a finished line to; `name` is the logger's."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def write(self, line: bytes) -> None:
        """Write one line, line end included."""
        with suppress(OSError):
            os.write(_STANDARD_ERROR, line)

    debug = info = warning = error = critical = write


class _FromLibraries(logging.Handler):
    """Passes on what libraries, asyncio first of all, say through `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record as one of ours."""
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log = structlog.get_logger(record.name)
        log.log(level, record.getMessage(), exc_info=record.exc_info)


Renderer = Callable[["Lines", str, MutableMapping[str, Any]], bytes]


def _described(value: Any) -> str:
    """Return any value as text, even one that cannot describe itself."""
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - a plugin's object; the log goes on
        return f"<{type(value).__name__}>"


_encode = msgspec.json.Encoder(enc_hook=_described).encode


def render_json(logger: Lines, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Return an event as one JSON object and a line feed.

    `time` is UTC (RFC 3339), `event` what happened, `exception` a traceback if there is one.
    """
    trace = traceback_of(event)
    fields = {"time": _now(), "level": level, "logger": logger.name, **event}
    if trace:
        fields["exception"] = trace
    try:
        line = _encode(fields)
        if not line.isascii() and not line.decode().isprintable():
            line = json.dumps(json.loads(line)).encode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        line = json.dumps({str(key): _described(value) for key, value in fields.items()}).encode()
    return line + b"\n"


def render_text(logger: Lines, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Return an event as `time level logger event key=value …` and a line feed.

    Values with blanks or quotes are quoted, as in JSON; a traceback follows, indented.
    """
    trace = traceback_of(event)
    what = printable(str(event.pop("event", "")))
    words = [_now(), f"{level:<7}", logger.name, what, *_pairs(event)]
    lines = [" ".join(words), *(f"    {printable(line)}" for line in trace.splitlines())]
    return "".join(f"{line}\n" for line in lines).encode()


RENDERERS: dict[str, Renderer] = {"json": render_json, "text": render_text}


def _pairs(event: Mapping[str, Any]) -> list[str]:
    return [f"{printable(key)}={_value(value)}" for key, value in event.items() if value != ""]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    text = _described(value)
    if text.isprintable() and _QUOTED.isdisjoint(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(quoted)}"'


def traceback_of(event: MutableMapping[str, Any]) -> str:
    """Take `exc_info` out of an event and return the traceback it stands for, "" for none."""
    found = event.pop("exc_info", None)
    if not found:
        return ""
    if isinstance(found, BaseException):
        error: BaseException | None = found
    else:
        error = found[1] if isinstance(found, tuple) else sys.exception()
    return "" if error is None else "".join(traceback.format_exception(error)).rstrip()


def _now() -> str:
    now = time.time()
    seconds = int(now)
    return f"{_second(seconds)}.{int((now - seconds) * 1000):03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Return a time without fraction; formatting it anew costs more than the rest of a line."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
