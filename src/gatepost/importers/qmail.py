"""qmail: qmail-send, and the common patches of qmail-smtpd.

qmail-send writes messages and deliveries, without clients. qmail-smtpd writes nothing by itself.
The patches chkuser and spamcontrol (s/qmail) write a line for each recipient, with client and
sender. Those lines are put together like Exim's: the same client and sender, with pauses under GAP.
simscan adds its verdict.

Limits: what qmail-smtpd accepted and what qmail-send delivered cannot be put together, so a message
becomes two transactions if both logs are read. A message of qmail-send with a remote recipient is
taken for one of the machine's own users. Read only the log of qmail-smtpd to judge traps.
"""

import re

import msgspec

from gatepost.importers.entry import Entry
from gatepost.importers.importer import Importer
from gatepost.importers.open_table import MOST_OPEN, OpenTable
from gatepost.importers.replies import is_unknown
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict

GAP = 120.0
_MESSAGE_IDLE = 7 * 86400.0
_PROGRAMS = ("qmail", "simscan", "tcpserver", "vpopmail", "spamd", "splogger", "smtpd")

_STAMP = re.compile(r"\d{9,10}\.\d{1,9} ")
_NEW = re.compile(r"new msg \d+")
_INFO = re.compile(
    r"info msg (?P<id>\d{1,20}): bytes (?P<size>\d{1,15}) from <(?P<sender>[^>]*)> qp \d+ uid"
)
_START = re.compile(
    r"starting delivery (?P<delivery>\d{1,20}): msg (?P<id>\d{1,20})"
    r" to (?P<kind>local|remote) (?P<to>\S+)"
)
_RESULT = re.compile(
    r"delivery (?P<delivery>\d{1,20}): (?P<result>success|failure|deferral): (?P<reply>.*)",
    re.DOTALL,
)
_END = re.compile(r"end msg (?P<id>\d{1,20})")
_OTHERS = (
    *("status: ", "bounce msg ", "running", "exiting", "warning: ", "tcpserver: "),
    "triple bounce",
)

_CHKUSER = re.compile(
    r"CHKUSER (?P<result>accepted|rejected|relaying)[^:]{0,50}:"
    r" from <(?P<sender>[^:>]{0,400}):(?P<user>[^:>]{0,255}):[^>]{0,255}>"
    r" remote <(?P<helo>[^:>]{0,255}):(?P<name>[^:>]{0,255}):(?P<client>[^>]{0,45})>"
    r" rcpt <(?P<to>[^>]{0,400})> : (?P<reply>.*)",
    re.DOTALL,
)
_SPAMCONTROL = re.compile(
    r"(?P<result>Accept|Reject)::(?P<where>\w{1,40})::(?P<reply>\w{1,80}): (?P<fields>.*)",
    re.DOTALL,
)
_FIELD = re.compile(r"(?:^| )(?P<name>[SHFTP]):(?P<value>.*?)(?= [SHFTP]:| \?~|$)", re.DOTALL)
_SIMSCAN = re.compile(
    r"simscan:\[\d+\]:(?P<verdict>[A-Z ]{1,40}?) ?\((?P<score>-?\d+(?:\.\d+)?)/[-\d.]{1,20}\):.*"
    r":(?P<client>[0-9a-fA-F.:]{3,45}):(?P<sender>[^:]{0,400}):(?P<to>[^:]{0,400})$",
    re.DOTALL,
)


class _Message(msgspec.Struct):
    transaction: Transaction
    deliveries: int = 0


class QmailImporter(Importer):
    """Reads the lines of qmail-send and of patched qmail-smtpd."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        super().__init__(most)
        self._messages: OpenTable[str, _Message] = OpenTable(self._end_message, _MESSAGE_IDLE, most)
        self._deliveries: OpenTable[str, tuple[str, str]] = OpenTable(
            lambda _time, _delivery: None, _MESSAGE_IDLE, most
        )
        self._sessions: OpenTable[tuple[str, str], Transaction] = OpenTable(
            self._end_session, GAP, most
        )

    def feed(self, entry: Entry) -> bool:
        """Read an entry; return whether it is one of qmail."""
        if entry.program and not entry.program.startswith(_PROGRAMS):
            return False
        for table in (self._messages, self._deliveries, self._sessions):
            table.expire(entry.time)
        text = entry.text
        stamp = _STAMP.match(text)  # splogger writes one, and syslog another
        text = text[stamp.end() :] if stamp else text
        return self._send(entry.time, text) or self._smtpd(entry.time, text)

    def finish(self) -> None:
        """End all transactions."""
        self._messages.finish()
        self._sessions.finish()

    @property
    def dropped(self) -> int:
        """The number of messages and sessions that were dropped."""
        return self._messages.dropped + self._sessions.dropped

    def _send(self, time: float, text: str) -> bool:
        if match := _RESULT.match(text):
            self._result(time, match)
        elif match := _START.match(text):
            self._start(time, match)
        elif match := _INFO.match(text):
            self._info(time, match)
        elif match := _END.match(text):
            found = self._messages.end(match["id"])
            if found is not None:
                self._end_message(time, found)
        elif not _NEW.match(text):
            return text.startswith(_OTHERS)
        return True

    def _info(self, time: float, match: re.Match[str]) -> None:
        sender = "" if match["sender"] == "#@[]" else match["sender"]
        found = Transaction(time, sender=sender, size=int(match["size"]), log_id=match["id"])
        found.end(time, Ending.ACCEPTED)
        self._messages.start(match["id"], time, _Message(found))

    def _start(self, time: float, match: re.Match[str]) -> None:
        found = self._messages.get(match["id"], time)
        if found is None:
            return
        address = match["to"]
        if match["kind"] == "remote":
            found.transaction.is_local = True
        else:
            address = _without_virtual_prefix(address)
        found.transaction.add(address, Status.ACCEPTED)
        self._deliveries.start(match["delivery"], time, (match["id"], address))

    def _result(self, time: float, match: re.Match[str]) -> None:
        message_id, address = self._deliveries.end(match["delivery"]) or ("", "")
        found = self._messages.get(message_id, time)
        if found is None:
            return
        reply = match["reply"].replace("_", " ")
        if match["result"] == "failure" and is_unknown(reply):
            found.transaction.add(address, Status.UNKNOWN, reply)

    def _smtpd(self, time: float, text: str) -> bool:
        if "CHKUSER " in text and (match := _CHKUSER.search(text)):
            self._chkuser(time, match)
        elif "::" in text and (match := _SPAMCONTROL.search(text)):
            self._spamcontrol(time, match)
        elif "simscan:" in text and (match := _SIMSCAN.search(text)):
            self._simscan(time, match)
        else:
            return False
        return True

    def _session(self, time: float, client: str, sender: str) -> Transaction:
        found = self._sessions.get((client, sender), time)
        if found is None:
            new = Transaction(time, client=client, sender=sender)
            found = self._sessions.start((client, sender), time, new)
        found.ended = time
        return found

    def _chkuser(self, time: float, match: re.Match[str]) -> None:
        found = self._session(time, match["client"], match["sender"])
        found.helo, found.user = match["helo"], match["user"]
        found.name = "" if match["name"] == "unknown" else match["name"]
        reply = match["reply"]
        found.add(match["to"], _status(reply, is_refused=match["result"] == "rejected"), reply)

    def _spamcontrol(self, time: float, match: re.Match[str]) -> None:
        fields = {one["name"]: one["value"].strip() for one in _FIELD.finditer(match["fields"])}
        client, _, name = fields.get("S", "").partition(":")
        found = self._session(time, client, fields.get("F", "").strip("<>"))
        found.helo, found.name = fields.get("H", ""), "" if name == "unknown" else name
        is_refused = match["result"] == "Reject"
        if address := fields.get("T", "").strip("<>"):
            reply = match["reply"].replace("_", " ")
            unknown = reply in ("Failed Rcptto", "Invalid Recipient")
            status = Status.UNKNOWN if unknown else _status(reply, is_refused=is_refused)
            found.add(address, status, reply)
        if is_refused and match["where"] in ("DATA", "SPAM", "VIRUS"):
            found.verdict = Verdict.SPAM
            found.end(time, Ending.REFUSED, match["reply"])

    def _simscan(self, time: float, match: re.Match[str]) -> None:
        found = self._session(time, match["client"], match["sender"])
        is_spam = match["verdict"] != "CLEAN"
        found.verdict = Verdict.SPAM if is_spam else Verdict.CLEAN
        found.score = float(match["score"])
        if "REJECT" in match["verdict"]:
            found.end(time, Ending.REFUSED, match["verdict"])

    def _end_session(self, time: float, found: Transaction) -> None:
        if found.ending is Ending.UNKNOWN:
            accepted = any(one.status is Status.ACCEPTED for one in found.recipients.values())
            found.end(found.ended or time, Ending.ACCEPTED if accepted else Ending.REFUSED)
        self.emit(found)

    def _end_message(self, _time: float, found: _Message) -> None:
        self.emit(found.transaction)


def _status(reply: str, *, is_refused: bool) -> Status:
    if not is_refused:
        return Status.ACCEPTED
    return Status.UNKNOWN if is_unknown(reply) else Status.REFUSED


def _without_virtual_prefix(address: str) -> str:
    """Return `user@example.com` for `example.com-user@example.com` (virtualdomains)."""
    local, _, domain = address.rpartition("@")
    return f"{local.removeprefix(f'{domain}-')}@{domain}"
