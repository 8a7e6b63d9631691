"""The content of one message in packets of the milter protocol, put together as it was sent.

Header fields arrive one by one, with LF at the end of a folded line, the body in pieces with CRLF.

Security: what plugins see has CRLF only and no NUL, as in SMTP. A message with a bare CR, a bare LF
or a NUL is refused at its end, and so is a field whose name or folding would end the field early:
the mail server then sees other fields than the plugins.
Limits: what follows a fault is dropped.
"""

import re
from typing import Final

from gatepost.wire.events import EndOfMessage, Event, MessageFault
from gatepost.wire.milter.packets import PacketError
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.content import Intake, with_crlf

_NAME: Final = re.compile(rb"[!-9;-~]+")
# A line break that does not begin a continuation line.
_BREAK: Final = re.compile(rb"\r\n(?![ \t])")
_END: Final = EndOfMessage()


class MilterContent:
    """The content so far.

    `leading` is whether values of fields have their leading space, `body` whether it is needed.
    """

    __slots__ = ("_body", "_held", "_intake", "_leading")

    def __init__(self, limit: int, *, leading: bool, body: bool) -> None:
        self._intake = Intake(limit)
        self._leading = leading
        self._body = body
        self._held = b""

    @property
    def skips(self) -> bool:
        """Return whether the rest of the body has no effect."""
        return not self._body or self._intake.fault is not None

    def field(self, data: bytes) -> bytes:
        """Return a header field with its CRLF; raises `PacketError`."""
        name, _, rest = data.partition(b"\0")
        value, end, more = rest.partition(b"\0")
        if not end or more:
            raise PacketError("expected a name and a value")
        if not self._leading:
            value = b" " + value
        value = with_crlf(value)
        if not _NAME.fullmatch(name) or _BREAK.search(value):
            self._intake.fault = r.IMPURE
        return self._admit(name + b":" + value + b"\r\n")

    def end_of_fields(self) -> bytes:
        """Return the empty line that ends the header block."""
        return self._admit(b"\r\n")

    def body(self, data: bytes) -> bytes:
        """Return a piece of the body; a CR at its end waits for the next one."""
        if not self._body:
            return b""
        data = self._held + data
        self._held = b"\r" if data.endswith(b"\r") else b""
        return self._admit(data[: len(data) - len(self._held)])

    def end(self) -> Event:
        """Return the event that ends the message."""
        if self._held:
            self._admit(self._held)
        return _END if self._intake.fault is None else MessageFault(self._intake.fault)

    def _admit(self, data: bytes) -> bytes:
        """Return the data, or none of it if the message is refused."""
        if self._intake.fault is None and self._intake.admit(data, len(data)) is not None:
            self._intake.fault = r.TOO_BIG
        return data if self._intake.fault is None else b""
