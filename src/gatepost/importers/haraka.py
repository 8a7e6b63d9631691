"""Haraka at log level NOTICE or higher, with `log_timestamps` or through syslog.

All formats of Haraka are read: the default one, logfmt and JSON. A connection has an identifier,
and its transactions are numbered from 1. The name of the client and its HELO are in the
`disconnect` line, so transactions are finished there.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from gatepost.importers.entry import Entry
from gatepost.importers.importer import Importer
from gatepost.importers.open_table import MOST_OPEN, OpenTable
from gatepost.importers.replies import is_about_content, status_of
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict

_IDLE = 3600.0
_MOST_TRANSACTIONS = 100

_DEFAULT = re.compile(
    r"\[\w+\] \[(?P<id>[0-9A-F-]{8,40}|-)(?:\.\d+)*\] \[(?P<origin>[^\]]*)\] (?P<text>.*)",
    re.DOTALL,
)
_PAIR = re.compile(r"(?:^| )(?P<name>[\w-]+)=(?P<value>\"(?:[^\"\\]|\\.)*\"|\S*)", re.DOTALL)
_PATH = re.compile(r"(?P<kind>sender|recipient) <(?P<address>[^>]*)>")
# The remarks of scanners, by the name of their plugin.
_SCORE = r"(?P<score>-?\d{1,6}(?:\.\d{1,20})?)"
_REMARKS: Mapping[str, re.Pattern[str]] = {
    "spamassassin": re.compile(rf"status=(?P<result>Yes|No), score={_SCORE}"),
    "rspamd": re.compile(rf"action: (?P<result>[a-z ]{{1,40}}),.{{0,200}}?\bscore: {_SCORE}"),
    "clamd": re.compile(r"(?P<result>fail):(?P<score>)"),
}
_VERDICTS = dict.fromkeys(("No", "no action"), Verdict.CLEAN) | dict.fromkeys(
    ("Yes", "reject", "discard", "quarantine", "add header", "rewrite subject", "fail"),
    Verdict.SPAM,
)


class _Line(NamedTuple):
    connection: str
    origin: str
    text: str
    fields: Mapping[str, str]


class _Connection(msgspec.Struct):
    client: str
    transactions: list[Transaction] = msgspec.field(default_factory=list)
    is_open: bool = False


class HarakaImporter(Importer):
    """Reads Haraka's lines."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        super().__init__(most)
        self._open: OpenTable[str, _Connection] = OpenTable(self._end, _IDLE, most)

    def feed(self, entry: Entry) -> bool:
        """Read an entry; return whether it is one of Haraka."""
        line = _parse(entry.text)
        if line is None:
            return False
        self._open.expire(entry.time)
        if line.text == "connect":
            client = line.fields.get("ip", "")
            self._open.start(line.connection, entry.time, _Connection(client))
            return True
        connection = self._open.get(line.connection, entry.time)
        if connection is not None:
            self._line(connection, entry.time, line)
        return True

    def finish(self) -> None:
        """End all connections."""
        self._open.finish()

    @property
    def dropped(self) -> int:
        """The number of connections that were dropped."""
        return self._open.dropped

    def _line(self, connection: _Connection, time: float, line: _Line) -> None:
        if line.text == "disconnect":
            self._open.end(line.connection)
            _describe(connection, line.fields)
            self._end(time, connection)
        elif match := _PATH.match(line.text):
            self._path(connection, time, match, line.fields)
        elif connection.is_open:
            self._content(connection, time, line)

    def _path(
        self,
        connection: _Connection,
        time: float,
        match: re.Match[str],
        fields: Mapping[str, str],
    ) -> None:
        if match["kind"] == "sender":
            if connection.is_open:
                connection.transactions[-1].end(time, Ending.ABANDONED)
            self._begin(connection, time, match["address"])
        elif connection.is_open:
            code, reply = fields.get("code", ""), fields.get("msg", "")
            connection.transactions[-1].add(match["address"], _status(code, reply), reply)

    def _begin(self, connection: _Connection, time: float, sender: str) -> None:
        if len(connection.transactions) >= _MOST_TRANSACTIONS:
            self._end(time, connection)
        new = Transaction(time, client=connection.client, sender=sender)
        new.is_local = connection.client in ("127.0.0.1", "::1")
        connection.transactions.append(new)
        connection.is_open = True

    def _content(self, connection: _Connection, time: float, line: _Line) -> None:
        found = connection.transactions[-1]
        code, reply = line.fields.get("code", ""), line.fields.get("msg", "")
        if line.text == "message":
            found.size = _number(line.fields.get("size", ""))
            found.message_id = line.fields.get("mid", "")
        if line.text in ("message", "queue") and code.startswith("DENY"):
            if is_about_content(reply):
                found.verdict = Verdict.SPAM
            found.end(time, Ending.DEFERRED if "SOFT" in code else Ending.REFUSED, reply)
            connection.is_open = False
        elif line.text == "queue" and code == "OK":
            found.end(time, Ending.ACCEPTED, reply)
            connection.is_open = False
        elif line.origin in _REMARKS:
            _remark(found, _REMARKS[line.origin].search(line.text))

    def _end(self, time: float, connection: _Connection) -> None:
        for one in connection.transactions:
            if one.ending is Ending.UNKNOWN:
                one.end(time, Ending.ABANDONED)
            self.emit(one)
        connection.transactions.clear()
        connection.is_open = False


def _remark(found: Transaction, remark: re.Match[str] | None) -> None:
    """Take the result of a scanner; if one of them has found spam or a virus, this stays."""
    if remark is None:
        return
    if found.verdict is not Verdict.SPAM:
        found.verdict = _VERDICTS.get(remark["result"], found.verdict)
    if remark["score"]:
        found.score = float(remark["score"])


def _parse(text: str) -> _Line | None:
    if match := _DEFAULT.match(text):
        rest = match["text"]
        fields = _fields(rest)
        first = _PAIR.search(rest)
        message = rest[: first.start()] if first and first.start() else rest
        return _Line(match["id"], match["origin"], message.strip(), fields)
    if text.startswith("{"):
        return _json(text)
    if text.startswith("level="):
        fields = _fields(text)
        return _from_fields(fields)
    return None


def _json(text: str) -> _Line | None:
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return _from_fields({name: str(value) for name, value in found.items()})


def _from_fields(fields: Mapping[str, str]) -> _Line | None:
    if "uuid" not in fields or "message" not in fields:
        return None
    connection = fields["uuid"].partition(".")[0]
    return _Line(connection, fields.get("origin", ""), fields["message"].strip(), fields)


def _fields(text: str) -> dict[str, str]:
    return {match["name"]: _unquoted(match["value"]) for match in _PAIR.finditer(text)}


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"':
        return value
    return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _status(code: str, reply: str) -> Status:
    if not code.startswith("DENY"):
        return Status.ACCEPTED
    if "SOFT" in code:
        return Status.DEFERRED
    return status_of(f"550 {reply}")


def _describe(connection: _Connection, fields: Mapping[str, str]) -> None:
    """Set what only the `disconnect` line has."""
    for one in connection.transactions:
        name = fields.get("rdns", "")
        one.name = "" if name in ("NXDOMAIN", "DNSERROR", "Unknown") else name
        one.helo = fields.get("helo", "")
        one.has_tls = fields.get("tls", "") == "Y"
        if fields.get("relay", "") == "Y":
            one.user = one.user or "relaying client"


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 16 else 0
