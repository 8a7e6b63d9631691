"""Detect mail loops while the header block of a message arrives (RFC 5321 section 6.3).

Every server adds a Received field, so their number is the number of hops. A field of this server
that names a recipient of this message reveals a loop earlier. One such field is normal: a content
filter or a mailing list can send a message back. A second one means that the message goes round.

Limits: MAX_FIELD octets of an incomplete field are kept, and nothing after `limit` hops.
"""

import re
from collections.abc import Sequence

from gatepost.model.session import Recipient
from gatepost.session.content.trace import own_recipient, shown_address

# Received fields have a few hundred octets. The rest of a longer field is not compared.
MAX_FIELD = 4096

_START = b"\r\n"
_END = b"\r\n\r\n"
# Everything up to the start of the last field, which may be incomplete.
_COMPLETE = re.compile(rb"(?s).*\r\n(?=[^ \t\r])")
_RECEIVED = re.compile(rb"(?i)\r\nreceived[ \t]*:((?:[^\r\n]++|\r\n[ \t])*+)")
# Too many fields of this server that name a recipient of the message.
_MAX_OWN = 2


class HopCounter:
    """The hops of one message.

    `hostname` is the name in this server's fields, `recipients` are those of the message.
    `too_many` is true for more than `limit` hops, `looped` for a loop through this server.
    """

    __slots__ = ("_hostname", "_limit", "_own", "_recipients", "_rest", "count", "looped")

    def __init__(self, limit: int, hostname: str, recipients: Sequence[Recipient]) -> None:
        self._limit = limit
        self._hostname = hostname
        self._recipients = recipients
        self._own: dict[str, int] = {}
        self._rest = _START
        self.count = 0
        self.looped = False

    @property
    def too_many(self) -> bool:
        """Return whether the message has too many hops."""
        return self.count > self._limit

    def _has(self, recipient: str) -> bool:
        return any(shown_address(one.address) == recipient for one in self._recipients)

    def add(self, data: bytes) -> bool:
        """Add a piece of content; return whether the result is certain."""
        if self._rest is _START and not data.startswith(_START):
            # Usually the first piece has the whole block: copy no more than that.
            end = data.find(_END)
            if end >= 0:
                return self._finish(_START + data[:end])
        text = self._rest + data
        end = text.find(_END)
        if end >= 0:
            return self._finish(text[:end])
        complete = _COMPLETE.match(text)
        if complete is not None:
            at = complete.end() - 2
            self._count(text[:at])
            text = text[at:]
        self._rest = _shorten(text)
        return self.too_many or self.looped

    def finish(self) -> None:
        """Count the last field of content that is a header block only."""
        self._finish(self._rest)

    def _finish(self, text: bytes) -> bool:
        self._count(text)
        self._rest = b""
        return True

    def _count(self, text: bytes) -> None:
        # Much faster than the pattern. `in` takes several times as long as `find`.
        if text.lower().find(b"\r\nreceived") < 0:
            return
        for field in _RECEIVED.finditer(text):
            self.count += 1
            recipient = own_recipient(field[1][:MAX_FIELD], self._hostname)
            if recipient is not None and self._has(recipient):
                self._own[recipient] = self._own.get(recipient, 0) + 1
                self.looped = self.looped or self._own[recipient] >= _MAX_OWN
            if self.too_many or self.looped:
                return


def _shorten(text: bytes) -> bytes:
    """Return an incomplete field, without the middle of a long one."""
    return text if len(text) <= MAX_FIELD else text[: MAX_FIELD - 4] + b"x" + text[-3:]
