"""Log lines for a person at a terminal: short, aligned, coloured.

Security: values come from clients. Every text is made printable before the colours are added, so
nothing but the codes of this file acts on the terminal.
"""

import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

from gatepost.log.printable import printable
from gatepost.log.render import Renderer, shown, traceback_of

# The longest usual event is "delivery deferred".
WIDTH = 17

_CODES = [f"\x1b[{code}m" for code in ("0", "2", "31", "32", "33", "1;31")]
RESET, DIM, RED, GREEN, YELLOW, BOLD_RED = _CODES
_LEVELS = {"debug": DIM, "warning": YELLOW, "error": BOLD_RED, "critical": BOLD_RED}
_RESULTS = {
    "accepted": GREEN,
    "submitted": GREEN,
    "delivered": GREEN,
    "deferred": YELLOW,
    "delivery deferred": YELLOW,
    "refused": RED,
    "abandoned": DIM,
}


def terminal_renderer(environment: Mapping[str, str]) -> Renderer:
    """Return the renderer for a terminal, with colours unless the environment forbids them.

    Any value of NO_COLOR but "" forbids them (https://no-color.org), and so does TERM=dumb.
    """
    forbidden = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
    return render_plain if forbidden else render_coloured


def render_plain(_logger: Any, _level: str, event: MutableMapping[str, Any]) -> bytes:
    """Return an event as `HH:MM:SS event key=value …` and a line feed, in local time.

    A traceback follows, indented.
    """
    trace, name = traceback_of(event), _name(event)
    words = [_clock(int(time.time())), name, *(f"{key}={value}" for key, value in _fields(event))]
    return _lines(words, trace)


def render_coloured(_logger: Any, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Return the same with colours: of the level, or of the result of a message."""
    trace, name = traceback_of(event), _name(event)
    colour = _LEVELS.get(level) or _RESULTS.get(name.rstrip(), "")
    shown_name = f"{colour}{name}{RESET}" if colour else name
    words = [f"{DIM}{_clock(int(time.time()))}{RESET}", shown_name]
    words += [f"{DIM}{key}={RESET}{value}" for key, value in _fields(event)]
    return _lines(words, trace)


def _name(event: MutableMapping[str, Any]) -> str:
    return printable(str(event.pop("event", ""))).ljust(WIDTH)


def _fields(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields that have a value, as printable text."""
    return [
        (printable(key), shown(value))
        for key, value in event.items()
        if value is not None and not (isinstance(value, (str, list, tuple)) and not value)
    ]


def _lines(words: list[str], trace: str) -> bytes:
    lines = [" ".join(words).rstrip(" "), *(f"    {printable(one)}" for one in trace.splitlines())]
    return ("\n".join(lines) + "\n").encode()


@lru_cache(maxsize=2)
def _clock(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
