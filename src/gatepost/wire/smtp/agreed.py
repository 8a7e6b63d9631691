"""The state that client and server agree on, apart from the input itself.

Argument parsers read an `Agreed` and never change it. `SmtpServer` changes it when the reply to
an event is known: a refused command changes nothing.
"""

import re
from collections.abc import Mapping
from enum import IntEnum

from gatepost.wire.events import Ehlo, Event, Helo, Mail, Xclient


class State(IntEnum):
    """The position in the command sequence; the value is the column in `commands.TRANSITIONS`."""

    START = 0  # connected, no EHLO or HELO yet
    READY = 1  # greeted, no transaction
    MAIL = 2  # a reverse-path, no recipient accepted
    RCPT = 3  # at least one recipient accepted
    CHUNKING = 4  # at least one BDAT chunk accepted, the last still to come
    SPOILED = 5  # a BDAT was refused, later chunks are still to come


# Events whose acceptance changes more than `state`.
TERMS: frozenset[type[Event]] = frozenset({Ehlo, Helo, Mail})


class Agreed:
    """The agreed state of one connection.

    `paths` are the patterns of `gatepost.wire.smtp.path` for addresses. `extensions` are the EHLO
    keywords whose parameters and commands are understood; `after_tls` are added to them by
    STARTTLS. `plain` is true if the client's last greeting was HELO, so no extension is in use.
    `smtputf8` belongs to the current transaction. `followed` is valid for commands of
    `commands.ALONE`: more input was received behind the command.
    """

    __slots__ = (
        "after_tls",
        "authenticated",
        "extensions",
        "followed",
        "paths",
        "plain",
        "secured",
        "smtputf8",
        "state",
    )

    def __init__(
        self, paths: Mapping[str, re.Pattern[str]], extensions: frozenset[str] = frozenset()
    ) -> None:
        self.paths = paths
        self.extensions = extensions
        self.after_tls: frozenset[str] = frozenset()
        self.state = State.START
        self.plain = False
        self.smtputf8 = False
        self.secured = False
        self.authenticated = False
        self.followed = False

    @property
    def first_chunk(self) -> bool:
        """Return whether the next BDAT is the first of its message."""
        return self.state is not State.CHUNKING

    def accept(self, event: Event) -> None:
        """Record the terms of an accepted EHLO, HELO or MAIL."""
        if isinstance(event, Mail):
            self.smtputf8 = "SMTPUTF8" in event.params
        else:
            self.plain = type(event) is Helo

    def identify(self, event: Event) -> None:
        """Record that the client is authenticated, or replaced by the client that XCLIENT names."""
        self.authenticated = type(event) is not Xclient

    def start_tls(self) -> None:
        """Drop the terms agreed in cleartext (RFC 3207 section 4.2)."""
        self.secured = True
        self.smtputf8 = False
        self.authenticated = False
        self.extensions |= self.after_tls
        self.after_tls = frozenset()
