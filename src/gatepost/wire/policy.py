"""The policy delegation protocol of Postfix: the server's side, without I/O.

A request is lines of `name=value` and an empty line, all with LF. The answer is a line
`action=...` and an empty line. SMTPD_POLICY_README of Postfix has the names. Exim and the program
of `gatepost filter` use the same protocol.

A request is read as a whole. Unknown attributes are kept, and their values are any text.

Trust: none. A request that is too long, has too many attributes, or an attribute that is malformed
or there twice, closes the connection without an answer: a mail server that gets an answer to
another question would apply it to the wrong mail. The client then asks again or defers.
Limits: MAX_REQUEST octets and MAX_ATTRIBUTES attributes for a request. Postfix sends 33 attributes
in about 1 KB; a certificate's subject and the addresses may add some KB.
"""

import re
from collections.abc import Mapping
from typing import Final

from gatepost.model.reply import Reply
from gatepost.wire.events import Event, Fault
from gatepost.wire.protocol import NEED_DATA, PAUSED, MtaWire, ProtocolError, Signal

MAX_REQUEST: Final = 32 * 1024
MAX_ATTRIBUTES: Final = 100
# Postfix adds the recipient's address in front, and its own limit for a line is 2048 octets.
MAX_TEXT: Final = 450

REQUEST: Final = "smtpd_access_policy"
DUNNO: Final = b"action=DUNNO\n\n"
# The reply to a request that cannot be read; it is never sent.
UNREADABLE: Final = Reply(421, "Policy request cannot be read", "4.3.0", close=True)

_END: Final = b"\n\n"
_BREAKS: Final = re.compile("[\\0\\n]")


class HoldReply(Reply):
    """A reply that accepts, and lets the mail server hold the message for a reason."""

    __slots__ = ("reason",)

    def __init__(self, reply: Reply, reason: str) -> None:
        super().__init__(reply.code, reply.text, reply.enhanced)
        self.reason = reason


class Request(Event, frozen=True):
    """A request, by attribute. Answer with a reply, as to the SMTP command that it is about."""

    attributes: dict[str, str]


class PolicyWire(MtaWire):
    """One connection of a mail server that asks."""

    __slots__ = ("_buffer", "_closed", "_searched", "_waiting")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._waiting = False
        self._closed = False

    @property
    def unread(self) -> int:
        """Return the number of octets received and not yet interpreted."""
        return len(self._buffer)

    @property
    def closed(self) -> bool:
        """Return whether the connection is to be closed. No further input is read."""
        return self._closed

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the client."""
        if not self._closed:
            self._buffer += data

    def next_event(self) -> Event | Signal:
        """Return the next request, or a fault: the connection is closed after that."""
        if self._waiting or self._closed:
            return PAUSED
        end = self._buffer.find(_END, self._searched)
        if end > MAX_REQUEST or (end < 0 and len(self._buffer) > MAX_REQUEST + 1):
            return self._pause(Fault(UNREADABLE))
        if end < 0:
            self._searched = max(0, len(self._buffer) - 1)
            return NEED_DATA
        attributes = parse(bytes(self._buffer[:end]))
        del self._buffer[: end + len(_END)]
        self._searched = 0
        return self._pause(Fault(UNREADABLE) if attributes is None else Request(attributes))

    def _pause(self, event: Event) -> Event:
        self._waiting = True
        return event

    def send(self, reply: Reply) -> bytes:
        """Return the answer for a reply; none for `UNREADABLE`, which closes the connection."""
        if not self._waiting:
            raise ProtocolError("send() without a request")
        self._waiting = False
        if reply is UNREADABLE:
            self._closed = True
            self._buffer.clear()
            return b""
        return answer(reply)

    def progress(self) -> bytes:
        """Return nothing: the protocol has no sign of progress."""
        return b""


def parse(request: bytes) -> dict[str, str] | None:
    """Return the attributes of a request without its empty line, None if it is malformed.

    Octets that are not UTF-8 become U+FFFD.
    """
    lines = request.split(b"\n", MAX_ATTRIBUTES)
    if len(lines) > MAX_ATTRIBUTES or b"\0" in request:
        return None
    attributes: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.decode(errors="replace").partition("=")
        if not equals or not name or name in attributes:
            return None
        attributes[name] = value
    return attributes if attributes.get("request") == REQUEST else None


def answer(reply: Reply) -> bytes:
    """Return the answer for a reply to an SMTP command, always one line and an empty line.

    A reply that accepts leaves the decision to the mail server.
    """
    if isinstance(reply, HoldReply):
        return f"action=HOLD {_printable(reply.reason)[:MAX_TEXT]}".encode("ascii") + _END
    if reply.code < 400:
        return DUNNO
    codes = f"{reply.code} {reply.enhanced}" if reply.enhanced else str(reply.code)
    return f"action={codes} {_text(reply)}".rstrip().encode("ascii") + _END


def _printable(text: str) -> str:
    return " ".join("".join(char if " " <= char <= "~" else " " for char in text).split())


def _text(reply: Reply) -> str:
    """Return the text in printable ASCII; one that is too long keeps its reference."""
    text = _printable(reply.text)
    if len(text) <= MAX_TEXT:
        return text
    tail = f" [{reply.reference}]" if reply.reference else ""
    return text[: MAX_TEXT - len(tail)] + tail


def request(attributes: Mapping[str, str]) -> bytes:
    """Return a request; a character that would end a line or the request becomes a blank."""
    lines = "".join(
        f"{name}={_BREAKS.sub(' ', value)}\n" for name, value in attributes.items() if value
    )
    return lines.encode(errors="replace") + b"\n"


def action(answer: bytes) -> str:
    """Return the value of `action=` in an answer; raises ValueError."""
    name, equals, value = answer.decode("ascii").strip("\n").partition("=")
    if name != "action" or not equals or "\n" in value:
        raise ValueError(f"expected action=..., found {answer[:80]!r}")
    return value
