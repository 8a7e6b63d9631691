"""The receiving side of LMTP, bytes in and events out: RFC 2033.

LMTP is SMTP between a mail system and its message stores. This module has the three differences:
the client greets with LHLO, some replies to commands out of order differ, and the end of a message
has one reply for each accepted recipient.

Theory of operation
-------------------
The contract is that of `gatepost.wire.smtp.server`. The end of a message is still one event with
one reply. That reply is sent once for each accepted recipient, unless it is a `RecipientReplies`,
which has one reply for each. This applies

- at the end of the content after DATA (section 4.2), accepted or refused,
- after BDAT LAST (section 4.3), also if its chunk was refused and discarded.

A refused DATA, for example because of a trap among the recipients, has one reply as in SMTP: the
replies for each recipient belong to the end of the content, which does not follow. A BDAT without
LAST has one reply.

A BDAT LAST without accepted recipients also has one reply. Section 4.3 requires no reply at all,
but a client that expects one would wait for ever.

Security: the number of replies must be the number that the client expects. Otherwise the client
takes each later reply for the answer to another command.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from gatepost.model.reply import RecipientReplies, Reply
from gatepost.wire.events import Bdat, Data, Event, Rcpt
from gatepost.wire.smtp import commands as smtp
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.commands import Command
from gatepost.wire.smtp.server import SmtpServer, WireLimits
from gatepost.wire.smtp.syntax.extensions import EXTENSIONS
from gatepost.wire.smtp.syntax.path import LENIENT

# RFC 2033 s4.1: HELO and EHLO must not be answered with success, 500 is recommended.
LHLO_ONLY = Reply(500, "This is LMTP: expected LHLO", "5.5.1")
LHLO_FIRST = Reply(503, "Bad sequence of commands: LHLO first", "5.5.1")
# RFC 2033 s4.2: DATA without an accepted recipient must fail with 503.
NO_RECIPIENTS = Reply(503, "No valid recipients", "5.5.1")

_OWN_REPLIES: dict[State | Reply, Reply] = {
    r.HELLO_FIRST: LHLO_FIRST,
    r.NO_RECIPIENTS: NO_RECIPIENTS,
}


def _row(row: Command) -> Command:
    """Return a row of the SMTP table with the replies of LMTP."""
    transitions = tuple(_OWN_REPLIES.get(cell, cell) for cell in row.transitions)
    return row.with_transitions(transitions)


_NEVER = tuple(LHLO_ONLY for _ in State)

COMMANDS: dict[str, Command] = {
    **{verb: _row(row) for verb, row in smtp.COMMANDS.items()},
    "LHLO": smtp.COMMANDS["EHLO"],
    "EHLO": smtp.COMMANDS["EHLO"].with_transitions(_NEVER),
    "HELO": smtp.COMMANDS["HELO"].with_transitions(_NEVER),
}


class LmtpServer(SmtpServer):
    """The receiving side of one connection. See the module for the differences from SMTP."""

    # `_accepted` counts the recipients of the transaction, `_owed` the copies of the next reply.
    __slots__ = ("_accepted", "_owed")

    offered: ClassVar[Mapping[str, Command]] = {
        verb: _row(row) for verb, row in smtp.OFFERED_COMMANDS.items()
    }

    def __init__(
        self,
        limits: WireLimits,
        paths: Mapping[str, re.Pattern[str]] = LENIENT,
        extensions: frozenset[str] = EXTENSIONS,
    ) -> None:
        super().__init__(limits, paths, extensions, COMMANDS)
        self._accepted = 0
        self._owed = 1

    def send(self, reply: Reply) -> bytes:
        """Answer the last event; return the bytes to send, once per recipient if required."""
        event = self._event
        sent = super().send(reply)
        if type(event) is Data:
            if reply.code < 400:
                self._owed = self._accepted
        elif sent:
            if not isinstance(reply, RecipientReplies):
                sent *= self._owed
            self._owed = 1
        self._count(event, reply)
        return sent

    def _begin_chunk(self, chunk: Bdat, refusal: Reply | None = None) -> Event | None:
        if chunk.last:
            self._owed = max(1, self._accepted)
        return super()._begin_chunk(chunk, refusal)

    def _count(self, event: Event | None, reply: Reply) -> None:
        """Count the accepted recipients of the transaction."""
        if self.agreed.state <= State.MAIL:
            self._accepted = 0
        elif type(event) is Rcpt and reply.code < 400:
            self._accepted += 1
