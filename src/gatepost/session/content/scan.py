"""Scan the header block of a message while it arrives: hops, Message-ID, Date.

Detects mail loops (RFC 5321 section 6.3). Every server adds a Received field, so their number is
the number of hops. A field of this server that names a recipient of this message reveals a loop
earlier. One such field is normal: a content filter or a mailing list can send a message back. A
second one means that the message goes round.

One regular expression finds all fields of interest, so that the content is read once.

Limits: MAX_FIELD octets of an incomplete field and MAX_ID characters of a Message-ID are kept, and
nothing after `limit` hops.
"""

import re
from collections.abc import Container

from gatepost.session.content.trace import own_recipient

# Received fields have a few hundred octets. The rest of a longer field is not compared.
MAX_FIELD = 4096
# A Message-ID is for people who search the log. Longer ones are forged or broken.
MAX_ID = 250

_END = b"\r\n\r\n"
# Everything up to the start of the last field, which may be incomplete.
_COMPLETE = re.compile(rb"(?s).*\r\n(?=[^ \t\r])")
_FIELD = re.compile(rb"(?i)\r\n(received|message-id|date)[ \t]*:((?:[^\r\n]++|\r\n[ \t])*+)")
# Too many fields of this server that name a recipient of the message.
_MAX_OWN = 2


class HeaderScan:
    """The scan of one message.

    `hostname` is the name in this server's fields, `recipients` are the addresses in their form
    there. `too_many` is true for more than `limit` hops, `looped` for a loop through this server.
    `dated` is whether there is a Date field; `message_id` is the first Message-ID, None without the
    field.
    """

    __slots__ = (
        "_hostname",
        "_limit",
        "_own",
        "_recipients",
        "_rest",
        "dated",
        "hops",
        "looped",
        "message_id",
    )

    def __init__(self, limit: int, hostname: str, recipients: Container[str]) -> None:
        self._limit = limit
        self._hostname = hostname
        self._recipients = recipients
        self._own: dict[str, int] = {}
        self._rest = b"\r\n"
        self.dated = False
        self.hops = 0
        self.looped = False
        self.message_id: str | None = None

    @property
    def too_many(self) -> bool:
        """Return whether the message has too many hops."""
        return self.hops > self._limit

    def add(self, data: bytes) -> bool:
        """Add a piece of content; return whether the result is certain."""
        text = self._rest + data
        end = text.find(_END)
        if end >= 0:
            return self._finish(text[:end])
        complete = _COMPLETE.match(text)
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
        for field in _FIELD.finditer(text):
            name = field[1].lower()
            if name == b"date":
                self.dated = True
            elif name == b"message-id":
                if self.message_id is None:
                    self.message_id = _unfolded(field[2])
            elif self._count(field[2]):
                return

    def _count(self, value: bytes) -> bool:
        """Count a hop; return whether the message is to be refused."""
        self.hops += 1
        recipient = own_recipient(value[:MAX_FIELD], self._hostname)
        if recipient is not None and recipient in self._recipients:
            self._own[recipient] = self._own.get(recipient, 0) + 1
            self.looped = self.looped or self._own[recipient] >= _MAX_OWN
        return self.too_many or self.looped


def _unfolded(value: bytes) -> str:
    """Return the value of a short field, unfolded."""
    return " ".join(value[:MAX_FIELD].decode("utf-8", "replace").split())[:MAX_ID]


def _shorten(text: bytes) -> bytes:
    """Return an incomplete field, without the middle of a long one."""
    return text if len(text) <= MAX_FIELD else text[: MAX_FIELD - 4] + b"x" + text[-3:]
