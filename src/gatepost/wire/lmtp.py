"""The receiving side of LMTP as bytes in, events out: RFC 2033.

LMTP is SMTP between a mail system and its stores. It differs in three things, and only those stand
here: the client says LHLO, there are other replies to commands out of order, and the end of a
message is answered once for each recipient that was accepted.

Theory of operation
-------------------
The contract is that of `gatepost.wire.smtp.server`. The end of a message is still one event with
one reply; that reply goes out as often as there are accepted recipients, unless it is a
`RecipientReplies`, which has one for each. That is so

- at the end of the content after DATA (section 4.2), whether it is taken or not,
- after BDAT LAST (section 4.3), also where its chunk was refused and dropped.

DATA refused – a trap among the recipients – is one reply, as in SMTP: it is the end of the content
that is answered for each recipient, and none will come. A BDAT that is not the last has one reply.

A BDAT LAST with no recipient to answer for has one reply as well: section 4.3 would have it none,
but a client that waits for one would wait for ever.

Security: how many replies there are must be what the client counts, or each of its later commands
is taken to have had the answer to another.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from gatepost.model.reply import RecipientReplies, Reply
from gatepost.wire.events import Bdat, Data, Event, Rcpt
from gatepost.wire.smtp import arguments as a
from gatepost.wire.smtp import commands as smtp
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.commands import Command, State
from gatepost.wire.smtp.path import STRICT
from gatepost.wire.smtp.server import EXTENSIONS, SmtpServer, WireLimits

# RFC 2033 s4.1: HELO and EHLO must not be answered with success, 500 is recommended.
LHLO_ONLY = Reply(500, "This is LMTP: expected LHLO", "5.5.1")
LHLO_FIRST = Reply(503, "Bad sequence of commands: LHLO first", "5.5.1")
# RFC 2033 s4.2: DATA without an accepted recipient must fail with 503.
NO_RECIPIENTS = Reply(503, "No valid recipients", "5.5.1")

_OWN_REPLIES: dict[State | Reply, Reply] = {
    r.HELLO_FIRST: LHLO_FIRST,
    r.NO_RECIPIENTS: NO_RECIPIENTS,
}


def _parse_bdat(wire: SmtpServer, text: str) -> Event:
    """Read BDAT as in SMTP; the answer to the last counts for every recipient."""
    event = a.parse_bdat(wire, text)
    if type(event) is Bdat and event.last:
        assert isinstance(wire, LmtpServer)
        wire.expect_last()
    return event


def _row(row: Command) -> Command:
    """Return a row of SMTP's table with LMTP's replies in it."""
    transitions = tuple(_OWN_REPLIES.get(cell, cell) for cell in row.transitions)
    return row._replace(transitions=transitions)


_NEVER = tuple(LHLO_ONLY for _ in State)

COMMANDS: dict[str, Command] = {
    **{verb: _row(row) for verb, row in smtp.COMMANDS.items()},
    "LHLO": smtp.COMMANDS["EHLO"],
    "EHLO": smtp.COMMANDS["EHLO"]._replace(transitions=_NEVER),
    "HELO": smtp.COMMANDS["HELO"]._replace(transitions=_NEVER),
    "BDAT": _row(smtp.COMMANDS["BDAT"]._replace(parse=_parse_bdat)),
}


class LmtpServer(SmtpServer):
    """One connection. See the module for what differs from SMTP."""

    __slots__ = ("_accepted", "_owed")

    offered: ClassVar[Mapping[str, Command]] = {
        verb: _row(row) for verb, row in smtp.OFFERED_COMMANDS.items()
    }

    def __init__(
        self,
        limits: WireLimits,
        paths: Mapping[str, re.Pattern[str]] = STRICT,
        extensions: frozenset[str] = EXTENSIONS,
    ) -> None:
        super().__init__(limits, paths, extensions, COMMANDS)
        self._accepted = 0
        self._owed = 1

    def expect_last(self) -> None:
        """Take note that the last chunk is on its way: the next reply is one for each recipient."""
        self._owed = max(1, self._accepted)

    def send(self, reply: Reply) -> bytes:
        """Answer the last event; return what to put on the wire, for each recipient if need be."""
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

    def _count(self, event: Event | None, reply: Reply) -> None:
        """Keep count of the transaction's accepted recipients."""
        if self.state <= State.MAIL:
            self._accepted = 0
        elif type(event) is Rcpt and reply.code < 400:
            self._accepted += 1
