"""Scan the header block of a message while it arrives: hops, Message-ID, Date.

Detects mail loops (RFC 5321 section 6.3). Every server adds a Received field, so their number is
the number of hops. A field of this server that names a recipient of this message reveals a loop
earlier. One such field is normal: a content filter or a mailing list can send a message back. A
second one means that the message goes round.

The fields are searched with `find` in lower case, and only what is found with a regular expression:
that is several times as fast.

Limits: MAX_FIELD octets of an incomplete field and MAX_ID characters of a Message-ID are kept, and
nothing after `limit` hops.
"""

import re
from collections.abc import Sequence
from typing import Final

from gatepost.model.plain_field import plain_value
from gatepost.model.session import Recipient
from gatepost.session.content.trace import own_recipient, shown_address
from gatepost.session.traps.mark import START

# Received fields have a few hundred octets. The rest of a longer field is not compared.
MAX_FIELD: Final = 4096
# A Message-ID is for people who search the log. Longer ones are forged or broken.
MAX_ID: Final = 250

_START: Final = b"\r\n"
_END: Final = b"\r\n\r\n"
# Everything up to the start of the last field, which may be incomplete.
_COMPLETE: Final = re.compile(rb"(?s).*\r\n(?=[^ \t\r])")
_VALUE: Final = rb"[ \t]*:((?:[^\r\n]++|\r\n[ \t])*+)"
_ID_NAME: Final = b"\r\nmessage-id"
_RECEIVED: Final = re.compile(rb"(?i)\r\nreceived" + _VALUE)
_MESSAGE_ID: Final = re.compile(rb"(?i)\r\nmessage-id" + _VALUE)
_DATE: Final = re.compile(rb"\r\ndate[ \t]*:")  # in lower case
# Too many fields of this server that name a recipient of the message.
_MAX_OWN: Final = 2


class HeaderScan:
    """The scan of one message.

    `hostname` is the name in this server's fields, `recipients` are those of the
    message. `too_many` is true for more than `limit` hops, `looped` for a loop through this server.
    `dated` is whether there is a Date field; it is only searched with `dates`. `has_results` is
    whether there may be an Authentication-Results field, `has_mark` whether there may be a mark of
    a trap; `message_id` is the first Message-ID, None without the field.
    """

    __slots__ = (
        "_dates",
        "_hostname",
        "_limit",
        "_own",
        "_recipients",
        "_rest",
        "dated",
        "has_mark",
        "has_results",
        "hops",
        "looped",
        "message_id",
    )

    def __init__(
        self,
        limit: int,
        hostname: str,
        recipients: Sequence[Recipient],
        dates: bool = True,  # noqa: FBT001, FBT002 - a keyword costs time for each message
    ) -> None:
        self._dates = dates
        self._limit = limit
        self._hostname = hostname
        self._recipients = recipients
        self._own: dict[str, int] = {}
        self._rest = _START
        self.dated = False
        self.has_mark = False
        self.has_results = False
        self.hops = 0
        self.looped = False
        self.message_id: str | None = None

    @property
    def too_many(self) -> bool:
        """Return whether the message has too many hops."""
        return self.hops > self._limit

    def add(self, data: bytes) -> bool:
        """Add a piece of content; return whether the result is certain."""
        if self._rest is _START and not data.startswith(_START):
            # Usually the first piece has the whole block: copy no more than that.
            end = data.find(_END)
            if end >= 0:
                return self._finish(_START + data[: end + 2])
        text = self._rest + data
        end = text.find(_END)
        if end >= 0:
            return self._finish(text[: end + 2])
        # Only a line end completes a field. Without this check, small pieces of a long field would
        # cost a search of all that is kept, each.
        ended = data.find(b"\n") >= 0 or self._rest.endswith(b"\n")
        complete = _COMPLETE.match(text) if ended else None
        if complete is not None:
            at = complete.end() - 2
            self._scan(text[:at])
            text = text[at:]
        self._rest = _shorten(text)
        return self.too_many or self.looped

    def finish(self) -> None:
        """Scan the last field of content that is a header block only."""
        self._finish(self._rest)

    def _finish(self, text: bytes) -> bool:
        self._scan(text)
        self._rest = b""
        return True

    def _scan(self, text: bytes) -> None:
        lowered = text.lower()
        if self._dates:
            self.dated = self.dated or _DATE.search(lowered) is not None
        if self.message_id is None:
            self.message_id = _first_id(text, lowered)
        # `in` takes several times as long as `find`
        self.has_results = self.has_results or lowered.find(b"\r\nauthentication-results") >= 0
        self.has_mark = self.has_mark or lowered.find(START) >= 0
        at = lowered.find(b"\r\nreceived")
        if at >= 0:
            any(self._count(field[1]) for field in _RECEIVED.finditer(text, at))

    def _has(self, recipient: str) -> bool:
        return any(shown_address(one.address) == recipient for one in self._recipients)

    def _count(self, value: bytes) -> bool:
        """Count a hop; return whether the message is to be refused."""
        self.hops += 1
        recipient = own_recipient(value[:MAX_FIELD], self._hostname)
        if recipient is not None and self._has(recipient):
            self._own[recipient] = self._own.get(recipient, 0) + 1
            self.looped = self.looped or self._own[recipient] >= _MAX_OWN
        return self.too_many or self.looped


def _first_id(text: bytes, lowered: bytes) -> str | None:
    """Return the value of the first Message-ID field, None without one."""
    at = lowered.find(_ID_NAME)
    if at < 0:
        return None
    value = plain_value(text, at + len(_ID_NAME))
    if value is None:
        field = _MESSAGE_ID.search(text, at)
        value = None if field is None else field[1]
    return None if value is None else _unfolded(value)


def _unfolded(value: bytes) -> str:
    """Return the value of a short field, unfolded."""
    return " ".join(value[:MAX_FIELD].decode("utf-8", "replace").split())[:MAX_ID]


def _shorten(text: bytes) -> bytes:
    """Return an incomplete field, without the middle of a long one."""
    return text if len(text) <= MAX_FIELD else text[: MAX_FIELD - 4] + b"x" + text[-3:]
