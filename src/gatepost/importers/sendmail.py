"""Sendmail: sm-mta and its children, by queue ID.

Sendmail writes a line for each refused recipient and one with `from=` at the end of the envelope,
which has the client. `nrcpts` in it is the number of accepted recipients; their lines (`to=`) come
with the delivery. A transaction without accepted recipients ends with the `from=` line.
"""

import re

import msgspec

from gatepost.importers.entry import Entry
from gatepost.importers.importer import Importer
from gatepost.importers.open_table import MOST_OPEN, OpenTable
from gatepost.importers.replies import is_about_content, is_temporary, status_of
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict

_IDLE = 3600.0
_PROGRAMS = ("sendmail", "sm-", "MTA")

_QUEUED = re.compile(r"(?P<id>[0-9A-Za-z]{8,20}): (?P<rest>.*)", re.DOTALL)
_FROM = re.compile(
    r"from=(?P<sender>.{0,600}?), size=(?P<size>\d{1,15}), .{0,300}?nrcpts=(?P<count>\d{1,9})"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_RELAY = re.compile(r"relay=(?:(?P<name>[^\s\[,]{1,255}) )?\[(?:IPv6:)?(?P<client>[^\]]{1,45})\]")
_LOCAL = re.compile(r"relay=(?:\w{1,64}@localhost|localhost)")
_MESSAGE_ID = re.compile(r"msgid=(<[^>]{0,600}>)")
_TO = re.compile(r"to=(?P<to>.*?), (?:ctladdr=.{0,400}?, )?delay=(?P<rest>.*)", re.DOTALL)
_STATUS = re.compile(r"dsn=(?P<dsn>[\d.]+), stat=(?P<reply>.*)", re.DOTALL)
_RULESET = re.compile(
    r"ruleset=check_(?P<set>\w+), arg1=(?P<argument>.{0,600}?)(?:, arg2=.{0,300}?)?"
    r", relay=(?P<relay>.{0,300}?), reject=(?P<reply>.*)",
    re.DOTALL,
)
_UNKNOWN = re.compile(
    r"(?P<address><?[^\s<>]{1,300}@[^\s<>]{1,255}>?)\.\.\. (?P<reply>.*)", re.DOTALL
)
_MILTER = re.compile(r"Milter: .{0,600}?\breject=(?P<reply>.*)", re.DOTALL)
_AUTH = re.compile(r"AUTH=server, .{0,400}?authid=(?P<user>[^,]+)")


class _Open(msgspec.Struct):
    transaction: Transaction
    expected: int = -1
    answered: set[str] = msgspec.field(default_factory=set)


class SendmailImporter(Importer):
    """Reads Sendmail's lines."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        super().__init__(most)
        self._open: OpenTable[str, _Open] = OpenTable(self._end, _IDLE, most)
        self._users: OpenTable[str, str] = OpenTable(lambda _time, _user: None, _IDLE, most)
        self._secured: OpenTable[str, bool] = OpenTable(lambda _time, _tls: None, _IDLE, most)

    def feed(self, entry: Entry) -> bool:
        """Read an entry; return whether Sendmail wrote it."""
        if not entry.program.startswith(_PROGRAMS):
            return False
        for table in (self._open, self._users, self._secured):
            table.expire(entry.time)
        text = entry.text
        match = _QUEUED.match(text)
        rest = match["rest"] if match else text
        if rest.startswith("AUTH=server"):
            user = _AUTH.match(rest)
            self._users.start(entry.pid, entry.time, user["user"] if user else "")
        elif rest.startswith("STARTTLS=server"):
            self._secured.start(entry.pid, entry.time, value=True)
        elif match is not None:
            self._line(match["id"], entry, rest)
        return True

    def finish(self) -> None:
        """End all transactions."""
        self._open.finish()

    @property
    def dropped(self) -> int:
        """The number of transactions that were dropped."""
        return self._open.dropped

    def _line(self, queue_id: str, entry: Entry, rest: str) -> None:
        if match := _FROM.match(rest):
            self._from(queue_id, entry, match)
        elif match := _TO.match(rest):
            self._to(queue_id, entry, match)
        elif match := _RULESET.match(rest):
            self._ruleset(queue_id, entry, match)
        elif match := _MILTER.match(rest):
            self._milter(queue_id, entry, match["reply"])
        elif rest.startswith("lost input channel"):
            self._lost(queue_id, entry)
        elif match := _UNKNOWN.match(rest):
            found = self._get(queue_id, entry)
            found.transaction.add(
                _bare(match["address"]), status_of(match["reply"]), match["reply"]
            )

    def _get(self, queue_id: str, entry: Entry) -> _Open:
        found = self._open.get(queue_id, entry.time)
        if found is None:
            new = _Open(Transaction(entry.time, log_id=queue_id))
            found = self._open.start(queue_id, entry.time, new)
        return found

    def _from(self, queue_id: str, entry: Entry, match: re.Match[str]) -> None:
        found = self._get(queue_id, entry)
        transaction = found.transaction
        transaction.sender = _bare(match["sender"])
        transaction.size = int(match["size"])
        _set_client(transaction, match["rest"])
        message_id = _MESSAGE_ID.search(match["rest"])
        transaction.message_id = message_id[1] if message_id else ""
        transaction.user = self._users.get(entry.pid, entry.time) or ""
        transaction.has_tls = bool(self._secured.get(entry.pid, entry.time))
        found.expected = int(match["count"])
        if transaction.ending is Ending.UNKNOWN:
            transaction.end(entry.time, Ending.ACCEPTED if found.expected else Ending.REFUSED)
        if transaction.ending is not Ending.ACCEPTED:
            self._open.end(queue_id)
            self._end(entry.time, found)

    def _to(self, queue_id: str, entry: Entry, match: re.Match[str]) -> None:
        found = self._open.get(queue_id, entry.time)
        status = _STATUS.search(match["rest"])
        if found is None or status is None:
            return
        reply = f"{status['dsn']} {status['reply']}"
        meaning = status_of(reply) if status["dsn"].startswith("5") else Status.ACCEPTED
        for address in map(_bare, match["to"].split(",")):
            found.transaction.add(address, meaning, reply)
            found.answered.add(address)
        if 0 <= found.expected <= len(found.answered):
            self._open.end(queue_id)
            self._end(entry.time, found)

    def _ruleset(self, queue_id: str, entry: Entry, match: re.Match[str]) -> None:
        found = self._get(queue_id, entry)
        _set_client(found.transaction, f"relay={match['relay']}")
        if match["set"] == "rcpt":
            reply = match["reply"]
            found.transaction.add(_bare(match["argument"]), status_of(reply), reply)
        elif match["set"] == "mail":
            found.transaction.sender = _bare(match["argument"])

    def _milter(self, queue_id: str, entry: Entry, reply: str) -> None:
        transaction = self._get(queue_id, entry).transaction
        transaction.end(
            entry.time, Ending.DEFERRED if is_temporary(reply) else Ending.REFUSED, reply
        )
        if is_about_content(reply):
            transaction.verdict = Verdict.SPAM

    def _lost(self, queue_id: str, entry: Entry) -> None:
        found = self._open.get(queue_id, entry.time)
        if found is not None:
            found.transaction.end(entry.time, Ending.ABANDONED)

    def _end(self, time: float, found: _Open) -> None:
        transaction = found.transaction
        if not transaction.ended:
            transaction.ended = time
        if transaction.client or transaction.is_local or transaction.recipients:
            self.emit(transaction)


def _set_client(transaction: Transaction, text: str) -> None:
    match = _RELAY.search(text)
    if match is not None:
        transaction.client, transaction.name = match["client"], match["name"] or ""
    transaction.is_local = _LOCAL.search(text) is not None or transaction.client in (
        "127.0.0.1",
        "::1",
    )


def _bare(address: str) -> str:
    return address.strip().removeprefix("<").removesuffix(">")
