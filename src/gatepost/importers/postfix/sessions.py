"""Sessions of Postfix: smtpd by its process, and postscreen by its client."""

import re
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from gatepost.importers.entry import Entry
from gatepost.importers.open_table import OpenTable
from gatepost.importers.postfix.envelope import last_envelope
from gatepost.importers.postfix.messages import Message, Messages
from gatepost.importers.replies import status_of
from gatepost.importers.transaction import Ending, Transaction

_IDLE = 3600.0

_CLIENT = r"(?P<name>[^\s\[\]]*)\[(?P<client>[^\]]*)\](?::\d+)?"
_CONNECT = re.compile(rf"connect from {_CLIENT}")
_LEFT = re.compile(r"(?:lost connection|timeout|too many errors) after (?P<where>[\w-]+)")
_TLS = re.compile(rf"\w+ TLS connection established from {_CLIENT}")
_ACCEPTED = re.compile(rf"(?P<id>[0-9A-Za-z]+): client={_CLIENT}(?P<rest>.*)", re.DOTALL)
_REFUSED = re.compile(
    r"(?P<id>[0-9A-Za-z]+): (?:milter-)?reject: (?P<stage>[A-Z][A-Z-]*)"
    rf" from {_CLIENT}: (?P<rest>.*)",
    re.DOTALL,
)
_USER = re.compile(r"sasl_username=([^,\s]+)")
_LOOPBACK = ("127.0.0.1", "::1")

_Key: TypeAlias = tuple[str, str]


class _Session(msgspec.Struct):
    client: str
    name: str
    has_tls: bool = False
    message: str = ""
    refused: Transaction | None = None


class Sessions:
    """The open sessions; they start messages, and `emit` gets transactions without one."""

    def __init__(self, emit: Callable[[Transaction], None], messages: Messages, most: int) -> None:
        self._emit = emit
        self._messages = messages
        self.open: OpenTable[_Key, _Session] = OpenTable(self._end, _IDLE, most)

    def smtpd(self, entry: Entry) -> None:
        """Read a line of smtpd."""
        text, key = entry.text, (entry.host, entry.pid)
        if match := _CONNECT.match(text):
            self.open.start(key, entry.time, _session(match))
        elif text.startswith("disconnect from"):
            self._close(key, entry.time)
        elif match := _LEFT.match(text):
            self._left(key, entry.time, match["where"])
        elif match := _TLS.match(text):
            self._session(key, entry, match).has_tls = True
        elif match := _ACCEPTED.match(text):
            self._accepted(key, entry, match)
        elif match := _REFUSED.match(text):
            self._refused(key, entry, match)

    def postscreen(self, entry: Entry) -> None:
        """Read a line of postscreen."""
        match = _REFUSED.match(entry.text)
        if match is not None:
            self._refused((entry.host, match["client"]), entry, match)
        elif entry.text.startswith(("DISCONNECT [", "HANGUP ", "PASS ")):
            start, end = entry.text.find("[") + 1, entry.text.find("]")
            self._close((entry.host, entry.text[start:end]), entry.time)

    def _session(self, key: _Key, entry: Entry, match: re.Match[str]) -> _Session:
        """Return the session of a process; the log may have started in the middle of it."""
        found = self.open.get(key, entry.time)
        if found is None or found.client != match["client"]:
            found = self.open.start(key, entry.time, _session(match))
        return found

    def _close(self, key: _Key, time: float) -> None:
        session = self.open.end(key)
        if session is not None:
            self._end(time, session)

    def _left(self, key: _Key, time: float, where: str) -> None:
        session = self.open.get(key, time)
        if session is None:
            return
        if session.refused is not None:
            session.refused.end(time, Ending.ABANDONED)
        if where in ("DATA", "BDAT", "RCPT"):
            self._messages.abandon(session.message, time)

    def _accepted(self, key: _Key, entry: Entry, match: re.Match[str]) -> None:
        session = self._session(key, entry, match)
        user = _USER.search(match["rest"])
        transaction = _begin(session, entry.time)
        transaction.log_id = match["id"]
        transaction.user = user[1] if user else ""
        transaction.is_local = match["client"] in _LOOPBACK
        refused, session.refused = session.refused, None
        if refused is not None:
            transaction.time, transaction.helo = refused.time, refused.helo
        session.message = match["id"]
        self._messages.open.start(match["id"], entry.time, Message(transaction, refused))

    def _refused(self, key: _Key, entry: Entry, match: re.Match[str]) -> None:
        envelope = last_envelope(match["rest"])
        if envelope is None:
            return
        reply = match["rest"][: envelope.start()]
        transaction = self._messages.transaction(match["id"])
        if transaction is not None and envelope["helo"]:
            transaction.helo = envelope["helo"]
        if match["stage"] != "RCPT":
            self._messages.refuse(match["id"], entry.time, reply)
            return
        if transaction is None:
            transaction = self._refused_transaction(
                self._session(key, entry, match), entry, envelope
            )
        transaction.add(envelope["recipient"] or "", status_of(reply), reply)

    def _refused_transaction(
        self, session: _Session, entry: Entry, envelope: re.Match[str]
    ) -> Transaction:
        refused = session.refused
        if refused is not None and refused.sender != envelope["sender"]:
            self._emit(refused.end(entry.time, Ending.REFUSED))
            refused = None
        if refused is None:
            refused = session.refused = _begin(session, entry.time)
            refused.sender, refused.helo = envelope["sender"], envelope["helo"] or ""
        refused.ended = entry.time
        return refused

    def _end(self, time: float, session: _Session) -> None:
        refused = session.refused
        if refused is not None:
            if refused.ending is Ending.UNKNOWN:
                refused.end(time, Ending.REFUSED)
            self._emit(refused)


def _session(match: re.Match[str]) -> _Session:
    name = match["name"]
    return _Session(match["client"], "" if name == "unknown" else name)


def _begin(session: _Session, time: float) -> Transaction:
    return Transaction(time, client=session.client, name=session.name, has_tls=session.has_tls)
