"""Rendering of log events as lines.

Security: values come from clients. With any content, an event stays one line, and no character in
it acts on a terminal. Only a traceback in the text format takes several lines, each indented.
"""

import json
import sys
import traceback
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from gatepost.log.printable import printable
from gatepost.log.stamp import Stamp
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.model.secret import Secret
from gatepost.model.session import Recipient, Session, Transaction

_QUOTED: Final = frozenset(' "=\\,[]')
# The fields of every line in front of those of the event.
_OWN: Final = frozenset({"time", "level", "logger"})
# Types that the encoder takes as they are. A subclass of str can be a secret.
_ATOMS: Final = frozenset({str, int, float, bool, type(None)})

_now: Final = Stamp().now

# The logger, which has a `name`; the level; the event with its fields.
Renderer = Callable[[Any, str, MutableMapping[str, Any]], bytes]


def render_json(logger: Any, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Return an event as one JSON object and a line feed.

    `time` is UTC (RFC 3339), `event` the name of the event, `exception` a traceback if there is
    one.
    """
    trace = traceback_of(event)
    if trace:
        event["exception"] = trace
    if not _OWN.isdisjoint(event):
        return _merged(_now().decode(), level, logger.name, event)
    try:
        fields = _fields(event)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _merged(_now().decode(), level, logger.name, event)
    return b'{"time":"%b"%b%b\n' % (_now(), _head(level, logger.name), fields)


def _fields(event: MutableMapping[str, Any]) -> bytes:
    """Return the fields as JSON without the brace at the start."""
    for key, value in event.items():
        kind = type(value)
        if kind not in _ATOMS and not (kind is list and _ATOMS.issuperset(map(type, value))):
            event[key] = _plain(value)
    line = _encode(event)
    if not line.isascii() and not line.decode().isprintable():
        line = json.dumps(json.loads(line)).encode()
    return line[1:]


@lru_cache(maxsize=1000)
def _head(level: str, name: str) -> bytes:
    """Return the fields after the time, with commas around them."""
    return b"," + _encode({"level": level, "logger": name})[1:-1] + b","


def _merged(now: str, level: str, name: str, event: MutableMapping[str, Any]) -> bytes:
    """Return an event that has a field of the line, or that cannot be encoded, as a line."""
    fields = {"time": now, "level": level, "logger": name, **event}
    return (
        json.dumps({str(key): _described(value) for key, value in fields.items()}).encode() + b"\n"
    )


def render_text(logger: Any, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Return an event as `time level logger event key=value …` and a line feed.

    Values with blanks or quotes are quoted as in JSON. A traceback follows, indented.
    """
    return f"{_now().decode()} {level:<7} {logger.name} {render_message(event)}\n".encode()


def render_message(event: MutableMapping[str, Any]) -> str:
    """Return an event as `event key=value …`, without a line feed at the end."""
    trace = traceback_of(event)
    name = printable(str(event.pop("event", "")))
    pairs = (f"{printable(key)}={shown(value)}" for key, value in event.items() if value != "")
    words = [name, *pairs]
    lines = [" ".join(words), *(f"    {printable(line)}" for line in trace.splitlines())]
    return "\n".join(lines)


RENDERERS: Final[dict[str, Renderer]] = {"json": render_json, "text": render_text}


# The text of values that have a better one than their fields; a secret must not be encoded.
_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    Secret: repr,
    Address: str,
    Endpoint: str,
    Reply: str,
    RecipientReplies: str,
    Recipient: lambda rcpt: str(rcpt.address),
    Session: lambda session: str(session.id),
    Transaction: lambda tx: str(tx.id),
}


def _plain(value: Any) -> Any:
    """Return a value for the encoder: text for the types in the table, also in a list."""
    text = _TEXTS.get(type(value))
    if text is not None:
        return text(value)
    if type(value) is list or type(value) is tuple:
        return [_plain(one) for one in value]
    return value


def _described(value: Any) -> str:
    """Return any value as text, even an object with a broken `__repr__`."""
    try:
        text = _TEXTS.get(type(value))
        if text is not None:
            return text(value)
        return value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - a plugin's object must not stop the log
        return f"<{type(value).__name__}>"


_encode = msgspec.json.Encoder(enc_hook=_described).encode


def shown(value: Any) -> str:
    """Return a value as printable text: quoted if it is ambiguous, a list in brackets."""
    if type(value) is list or type(value) is tuple:
        return f"[{','.join(map(shown, value))}]"
    text = _described(value)
    if text.isprintable() and _QUOTED.isdisjoint(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(quoted)}"'


def traceback_of(event: MutableMapping[str, Any]) -> str:
    """Remove the traceback from an event and return it as text, "" without one."""
    text = event.pop("exception", None)
    found = event.pop("exc_info", None)
    if not found:
        return "" if text is None else _described(text)
    if isinstance(found, BaseException):
        error: BaseException | None = found
    else:
        error = found[1] if isinstance(found, tuple) else sys.exception()
    return format_traceback(error)


def format_traceback(error: BaseException | None) -> str:
    """Return the traceback of an error without local variables, "" without an error."""
    return "" if error is None else "".join(traceback.format_exception(error)).rstrip()
