"""The protocol of Dovecot's socket auth-userdb: look-ups of users.

Lines end with LF and have fields between tabs. The client begins with "VERSION 1 0", and the server
with "VERSION 1 N"; another major version is another protocol. A request is "USER ID NAME
service=NAME". Answers are "USER ID NAME …" with the fields of the user, "NOTFOUND ID" and "FAIL ID
…" for an error, in any order. Lines with another first word are ignored, as Dovecot's own clients
do. The characters NUL, SOH, tab, CR and LF are written as SOH and another character.

Limits: a line has at most MAX_LINE octets, as in Dovecot.
"""

import re
from typing import Final

from gatepost.wire.tables.conversation import Answer, BadAnswerError, Conversation, text

MAX_LINE: Final = 8192
VERSION: Final = b"1"
_SPECIAL: Final = {"\0": "\x010", "\x01": "\x011", "\t": "\x01t", "\r": "\x01r", "\n": "\x01n"}
_ESCAPE: Final = str.maketrans(_SPECIAL)
_PLAIN: Final = {escape: character for character, escape in _SPECIAL.items()}
_ESCAPED: Final = re.compile("\x01.?", re.DOTALL)


class DovecotUsers(Conversation):
    """Look-ups of users for a `service`, such as "smtp"; the value is the user's name."""

    greeting = b"VERSION\t%b\t0\n" % VERSION
    pipelined = True

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._asked: dict[bytes, str] = {}
        self._last = 0
        self._greeted = False

    def request(self, key: str) -> bytes:
        """See `Conversation.request`."""
        self._last += 1
        self._asked[b"%d" % self._last] = key
        return f"USER\t{self._last}\t{escape(key)}\tservice={escape(self._service)}\n".encode()

    def next_answer(self) -> Answer | None:
        """See `Conversation.next_answer`."""
        while (line := self._take_line(MAX_LINE)) is not None:
            command, *fields = line.split(b"\t")
            if not self._greeted:
                self._greet(line, fields)
            elif command in (b"USER", b"NOTFOUND", b"FAIL"):
                return self._answer(line, command, fields)
        return None

    def _greet(self, line: bytes, fields: list[bytes]) -> None:
        if not line.startswith(b"VERSION\t") or fields[0] != VERSION:
            raise BadAnswerError("VERSION 1, as from Dovecot's socket auth-userdb", line)
        self._greeted = True

    def _answer(self, line: bytes, command: bytes, fields: list[bytes]) -> Answer:
        key = self._asked.pop(fields[0], None) if fields else None
        if key is None:
            raise BadAnswerError("the number of a request", line)
        if command == b"NOTFOUND":
            return Answer(key)
        if command == b"FAIL":
            reason = " ".join(unescape(text(field)) for field in fields[1:])
            return Answer(key, problem=reason or "Dovecot reports an error")
        if len(fields) < 2:
            raise BadAnswerError("the name of the user", line)
        return Answer(key, unescape(text(fields[1])))


def escape(value: str) -> str:
    """Return a text as it is written in a field."""
    return value.translate(_ESCAPE)


def unescape(value: str) -> str:
    """Return the text of a field; an unknown escape is the character itself."""
    return _ESCAPED.sub(lambda found: _PLAIN.get(found[0], found[0][1:]), value)
