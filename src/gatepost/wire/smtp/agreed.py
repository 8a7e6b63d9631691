"""The state that client and server agree on, apart from the input itself.

Argument parsers read an `Agreed` and never change it. `SmtpServer` changes it when the reply to
an event is known: a refused command changes nothing.
"""

import re
from collections.abc import Mapping
from enum import IntEnum

from gatepost.model.additions import NO_ADDITIONS, Additions


class State(IntEnum):
    """The position in the command sequence; the value is the column in `commands.TRANSITIONS`."""

    START = 0  # connected, no EHLO or HELO yet
    READY = 1  # greeted, no transaction
    MAIL = 2  # a reverse-path, no recipient accepted
    RCPT = 3  # at least one recipient accepted
    CHUNKING = 4  # at least one BDAT chunk accepted, the last still to come
    SPOILED = 5  # a BDAT was refused, later chunks are still to come


class Agreed:
    """The agreed state of one connection.

    `paths` are the patterns of `gatepost.wire.smtp.syntax.path` for addresses. `extensions` are the
    EHLO keywords whose parameters and commands are understood; `after_tls` are added to them by
    STARTTLS. `plain` is true if the client's last greeting was HELO, so no extension is in use.
    `smtputf8` belongs to the current transaction. `followed` is valid for optional
    commands: more input was received behind the command. `bare_lf` is true if a bare LF ends a line
    of content. `additions` are the commands and parameters of plugins.
    """

    # Defaults of the class cost nothing per connection; with slots they would have to be set.
    after_tls: frozenset[str] = frozenset()
    state: State = State.START
    plain: bool = False
    smtputf8: bool = False
    secured: bool = False
    authenticated: bool = False
    followed: bool = False
    bare_lf: bool = False
    additions: Additions = NO_ADDITIONS

    def __init__(
        self, paths: Mapping[str, re.Pattern[str]], extensions: frozenset[str] = frozenset()
    ) -> None:
        self.paths = paths
        self.extensions = extensions

    @property
    def first_chunk(self) -> bool:
        """Return whether the next BDAT is the first of its message."""
        return self.state is not State.CHUNKING

    def start_tls(self) -> None:
        """Drop the terms agreed in cleartext (RFC 3207 section 4.2)."""
        self.secured = True
        self.smtputf8 = False
        self.authenticated = False
        self.extensions |= self.after_tls
        self.after_tls = frozenset()
