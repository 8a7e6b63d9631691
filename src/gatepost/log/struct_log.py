"""Log structs: the quick way for an event that each message has.

Theory of operation
-------------------
The fields of the struct are those of the event, in their order. The last one is `event`, the name
of the event. A field that is UNSET is not in the line.

If the process writes JSON, the encoder makes the line from the struct. Otherwise, and for a value
that the encoder refuses, the logger gets the same event as a dict. The line is the same both ways.

Security: the encoder takes plain values only, so a secret never comes into a line. A text that is
not printable takes the other way, which escapes it.
"""

from typing import Any, Final

import msgspec

from gatepost.log.render import render_json
from gatepost.log.stamp import Stamp

_encode: Final = msgspec.json.Encoder().encode


class StructLog:
    """Logs structs at level info; `log` is the bound logger, `name` its name."""

    __slots__ = ("_head", "_log", "_stamp")

    def __init__(self, log: Any, name: str) -> None:
        self._log = log
        self._head = b'","level":"info","logger":%b,' % _encode(name)
        self._stamp = Stamp()

    def info(self, event: msgspec.Struct) -> None:
        """Log an event."""
        log = self._log
        processors = log._processors  # noqa: SLF001 - what the process does with events
        if len(processors) == 1 and processors[0] is render_json and not log._context:  # noqa: SLF001
            line = self._line(event)
            if line:
                log._logger.info(line)  # noqa: SLF001 - as structlog calls it
                return
        fields = fields_of(event)
        log.info(fields.pop("event"), **fields)

    def _line(self, event: msgspec.Struct) -> bytes:
        """Return an event as a line of JSON, b"" if the general way has to do it."""
        try:
            text: bytes = _encode(event)
            if not text.isascii() and not text.decode().isprintable():
                return b""
        except (TypeError, ValueError, OverflowError, RecursionError):
            return b""
        return b"".join([b'{"time":"', self._stamp.now(), self._head, text[1:], b"\n"])


def fields_of(event: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of an event without those that are UNSET."""
    fields = msgspec.structs.asdict(event)
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}
