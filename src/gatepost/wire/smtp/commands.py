"""The command sequence, as tables.

Every rule about which command may come when, and which state follows, is in this file.

Theory of operation
-------------------
A session is in one `State` whenever a command line is read. `TRANSITIONS[verb][state]` is either a
`Reply`, which refuses the command, or the state that follows a 2yz or 3yz reply. A 4yz or 5yz reply
leaves the state alone, except for DATA and BDAT: a refusal ends the transaction.

The chunk of BDAT follows even if the command is refused, so it is read and discarded. After a
refused chunk that is not the last, later chunks are discarded too (`SPOILED`) until BDAT LAST,
RSET, EHLO or a new MAIL. Otherwise the second half of a refused message could be taken for a
message.

The tables cannot express these rules; `gatepost.wire.smtp.agreed.Agreed` has their state:
- An extension's command exists only while its keyword is in `extensions`; a keyword in `after_tls`
  requires STARTTLS first.
- STARTTLS is refused under TLS (`secured`), AUTH after a successful AUTH (`authenticated`). Nothing
  may follow either in the input (`followed`).
- After HELO (`plain`) no command may be sent ahead if the caller enforces synchronisation.
- RCPT allows UTF-8 only if MAIL had SMTPUTF8 (`smtputf8`).
While content or the response to an AUTH challenge is read, no command line is;
`gatepost.wire.smtp.server.SmtpServer` has that reader.
"""

from collections.abc import Callable, Mapping
from enum import Flag, auto

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.events import Event
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.agreed import Agreed, State
from gatepost.wire.smtp.auth import parse_auth, parse_auth_in_clear
from gatepost.wire.smtp.syntax import arguments as a
from gatepost.wire.smtp.syntax.extensions import OPTIONAL_COMMANDS
from gatepost.wire.smtp.syntax.xclient import parse_xclient

Parser = Callable[[Agreed, str], Event]


class Flags(Flag):
    """Properties that several commands share."""

    NONE = 0
    JUNK = auto()  # does not deliver mail: counted and limited
    LAST = auto()  # nothing may be sent behind it before its reply: RFC 2920 s3.1


_START, _READY, _MAIL, _RCPT, _CHUNKING, _SPOILED = State
_ANY = tuple(State)

# fmt: off
TRANSITIONS: dict[str, tuple[State | Reply, ...]] = {
    #        START          READY         MAIL             RCPT           CHUNKING     SPOILED
    "EHLO": (_READY,        _READY,       _READY,          _READY,        _READY,      _READY),
    "HELO": (_READY,        _READY,       _READY,          _READY,        _READY,      _READY),
    "MAIL": (r.HELLO_FIRST, _MAIL,        r.NESTED_MAIL,   r.NESTED_MAIL, r.CHUNKING,  _MAIL),
    "RCPT": (r.HELLO_FIRST, r.MAIL_FIRST, _RCPT,           _RCPT,         r.CHUNKING,  r.SPOILED),
    "DATA": (r.HELLO_FIRST, r.MAIL_FIRST, r.NO_RECIPIENTS, _READY,        r.CHUNKING,  r.SPOILED),
    "BDAT": (r.HELLO_FIRST, r.MAIL_FIRST, r.NO_RECIPIENTS, _CHUNKING,     _CHUNKING,   r.SPOILED),
    "RSET": (_START,        _READY,       _READY,          _READY,        _READY,      _READY),
    "NOOP": _ANY,
    "VRFY": _ANY,
    "EXPN": _ANY,
    "HELP": _ANY,
    "QUIT": _ANY,
    "STARTTLS": (r.HELLO_FIRST, _START, r.NESTED_MAIL, r.NESTED_MAIL, r.CHUNKING, r.SPOILED),
    "XCLIENT": (_START,     _START,       r.NESTED_MAIL,   r.NESTED_MAIL, r.CHUNKING,  r.SPOILED),
    "AUTH": (r.HELLO_FIRST, _READY,       r.NESTED_MAIL,   r.NESTED_MAIL, r.CHUNKING,  r.SPOILED),
}
# The state after a refused BDAT: (not the last chunk, the last chunk), by the state before it.
AFTER_REFUSED_BDAT: tuple[tuple[State, State], ...] = (
    (_START, _START), (_READY, _READY), (_SPOILED, _READY),
    (_SPOILED, _READY), (_SPOILED, _READY), (_SPOILED, _READY),
)
# fmt: on


class Command:
    """One row: the event, the parser of the argument, the row of TRANSITIONS, the flags."""

    __slots__ = ("event", "flags", "parse", "transitions")

    def __init__(
        self,
        event: type[Event],
        parse: Parser,
        transitions: tuple[State | Reply, ...],
        flags: Flags,
    ) -> None:
        self.event = event
        self.parse = parse
        self.transitions = transitions
        self.flags = flags

    def parsed_by(self, parse: Parser) -> "Command":
        """Return the same row with another parser."""
        return Command(self.event, parse, self.transitions, self.flags)

    def with_transitions(self, transitions: tuple[State | Reply, ...]) -> "Command":
        """Return the same row with other transitions."""
        return Command(self.event, self.parse, transitions, self.flags)


_ROWS: dict[str, tuple[type[Event], Parser, Flags]] = {
    "EHLO": (e.Ehlo, a.parse_ehlo, Flags.JUNK | Flags.LAST),
    "HELO": (e.Helo, a.parse_helo, Flags.JUNK | Flags.LAST),
    "MAIL": (e.Mail, a.parse_mail, Flags.NONE),
    "RCPT": (e.Rcpt, a.parse_rcpt, Flags.NONE),
    "DATA": (e.Data, a.parse_data, Flags.LAST),
    "BDAT": (e.Bdat, a.parse_bdat, Flags.NONE),
    "RSET": (e.Rset, a.parse_rset, Flags.JUNK),
    "NOOP": (e.Noop, a.parse_noop, Flags.JUNK | Flags.LAST),
    "VRFY": (e.Vrfy, a.parse_vrfy, Flags.JUNK | Flags.LAST),
    "EXPN": (e.Expn, a.parse_expn, Flags.JUNK | Flags.LAST),
    "HELP": (e.Help, a.parse_help, Flags.JUNK),
    "QUIT": (e.Quit, a.parse_quit, Flags.NONE),
    "STARTTLS": (e.StartTls, a.parse_starttls, Flags.NONE),
    "XCLIENT": (e.Xclient, parse_xclient, Flags.JUNK),
    "AUTH": (e.Auth, parse_auth, Flags.NONE),
}

COMMANDS: dict[str, Command] = {
    verb: Command(event, parse, TRANSITIONS[verb], flags)
    for verb, (event, parse, flags) in _ROWS.items()
    if verb not in OPTIONAL_COMMANDS
}
# A separate table, so that the lookup of other verbs costs nothing more.
OFFERED_COMMANDS: dict[str, Command] = {
    verb: Command(event, parse, TRANSITIONS[verb], flags)
    for verb, (event, parse, flags) in _ROWS.items()
    if verb in OPTIONAL_COMMANDS
}


def _flagged(flag: Flags) -> frozenset[type[Event]]:
    rows = (*COMMANDS.values(), *OFFERED_COMMANDS.values())
    return frozenset(row.event for row in rows if row.flags & flag)


JUNK = _flagged(Flags.JUNK) | {e.Unknown, e.IdleAdded}
LAST = _flagged(Flags.LAST)


def ends_group(command: Command, agreed: Agreed) -> bool:
    """Return whether nothing may be sent behind a command before its reply."""
    return command.event in LAST or (agreed.plain and command.event is not e.Bdat)


def enabled(rows: Mapping[str, Command], verb: str, agreed: Agreed) -> Command | None:
    """Return the row of an optional command if its extension is enabled, now or after TLS."""
    keyword = OPTIONAL_COMMANDS[verb]
    if keyword in agreed.after_tls:
        return rows[verb].parsed_by(parse_auth_in_clear)
    return rows[verb] if keyword in agreed.extensions else None


# Verbs of HTTP clients, sent by mistake or in a cross-protocol attack.
FOREIGN_VERBS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
