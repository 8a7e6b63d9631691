"""The order of commands, as tables.

Everything that decides whether a command may come now, and what state it leads to, stands here.

Theory of operation
-------------------
A session is in one `State` whenever a command line is read. `TRANSITIONS[verb][state]` is either a
`Reply` – the command may not come now, and that is the answer – or the state that follows once the
command has been answered 2xx or 3xx. A refusal leaves the state alone, but for DATA and BDAT:
when those are refused the transaction is gone.

BDAT is the odd one: its chunk follows whatever the answer is, so it is read and dropped when
refused, and after a refused chunk that was not the last, later ones are dropped too (`SPOILED`)
until BDAT LAST, RSET, EHLO or a new MAIL. Otherwise the second half of a refused message could be
taken for a message of its own.

There is no state for the content itself: while it is read no command line is.
"""

from collections.abc import Callable
from enum import Flag, IntEnum, auto
from typing import TYPE_CHECKING, NamedTuple

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.events import Event
from gatepost.wire.smtp import arguments as a
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.auth import parse_auth
from gatepost.wire.smtp.xclient import parse_xclient

if TYPE_CHECKING:
    from gatepost.wire.smtp.server import SmtpServer


class State(IntEnum):
    """What has been agreed so far; the value is the column in the table below."""

    START = 0  # connected, no EHLO or HELO yet
    READY = 1  # greeted, no transaction
    MAIL = 2  # a reverse-path, no recipient accepted
    RCPT = 3  # at least one recipient accepted
    CHUNKING = 4  # at least one BDAT chunk accepted, the last still to come
    SPOILED = 5  # a BDAT was refused, later chunks are still to come


class Flags(Flag):
    """Traits that cut across commands."""

    NONE = 0
    JUNK = auto()  # does nothing for the delivery of mail: counted, limited
    LAST = auto()  # nothing may be sent behind it before its reply: RFC 2920 s3.1
    OFFERED = auto()  # exists only where the extension of its name is offered


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
# Where a refused BDAT leads: (not the last chunk, the last chunk), by the state it came in.
AFTER_REFUSED_BDAT: tuple[tuple[State, State], ...] = (
    (_START, _START), (_READY, _READY), (_SPOILED, _READY),
    (_SPOILED, _READY), (_SPOILED, _READY), (_SPOILED, _READY),
)
# fmt: on


class Command(NamedTuple):
    """One row: the event, how the argument is read, the row of TRANSITIONS, the flags."""

    event: type[Event]
    parse: "Callable[[SmtpServer, str], Event]"
    transitions: tuple[State | Reply, ...]
    flags: Flags


_ROWS: "dict[str, tuple[type[Event], Callable[[SmtpServer, str], Event], Flags]]" = {
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
    "STARTTLS": (e.StartTls, a.parse_starttls, Flags.OFFERED),
    "XCLIENT": (e.Xclient, parse_xclient, Flags.OFFERED | Flags.JUNK),
    "AUTH": (e.Auth, parse_auth, Flags.OFFERED),
}

COMMANDS: dict[str, Command] = {
    verb: Command(event, parse, TRANSITIONS[verb], flags)
    for verb, (event, parse, flags) in _ROWS.items()
    if not flags & Flags.OFFERED
}
# Apart, so that looking a verb up costs nothing more where they are not offered.
OFFERED_COMMANDS: dict[str, Command] = {
    verb: Command(event, parse, TRANSITIONS[verb], flags)
    for verb, (event, parse, flags) in _ROWS.items()
    if flags & Flags.OFFERED
}


def _flagged(flag: Flags) -> frozenset[type[Event]]:
    rows = (*COMMANDS.values(), *OFFERED_COMMANDS.values())
    return frozenset(row.event for row in rows if row.flags & flag)


JUNK = _flagged(Flags.JUNK) | {e.Unknown}
LAST = _flagged(Flags.LAST)

# A browser or a scanner that was led here to speak SMTP by mistake (cross-protocol attacks).
FOREIGN_VERBS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
