"""qpsmtpd at log level 6 (LOGINFO) or higher: the commands, the replies and the plugins' remarks.

Each line starts with the process, and a process serves one connection at a time. A reply belongs to
the command before it. The line is the same in every logging plugin (warn, file, syslog).
"""

import re

import msgspec

from gatepost.importers.entry import Entry
from gatepost.importers.importer import Importer
from gatepost.importers.open_table import MOST_OPEN, OpenTable
from gatepost.importers.replies import is_about_content, status_of
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict

_IDLE = 3600.0

_LINE = re.compile(
    r"(?P<pid>\d{1,10})(?: \((?P<hook>[\w-]{1,40})\))?(?: (?P<plugin>[\w:/.-]{1,80}):)?"
    r" (?P<text>.*)",
    re.DOTALL,
)
_CONNECT = re.compile(r"Connection from (?P<name>\S+) \[(?P<client>[^\]]+)\]")
_COMMAND = re.compile(r"dispatching (?P<verb>\w+)(?: (?P<argument>.*))?", re.DOTALL)
_PATH = re.compile(r"<(?P<address>[^>]{0,600})>")
_REPLY = re.compile(r"(?P<code>[2-5]\d\d)(?P<more>[ -])(?P<text>.*)", re.DOTALL)
_SCORE = re.compile(
    r"(?P<result>Spam|Ham|Yes|No|pass|fail)\b[^<>]{0,100}?(?P<score>-?\d{1,6}(?:\.\d{1,6})?) [<>]",
    re.IGNORECASE,
)
# The scanners each have their own words.
_VIRUS = re.compile(r"found virus|virus(?:\(es\))? found|be a virus", re.IGNORECASE)
_DKIM = re.compile(r"\bd=(?P<domain>[\w.-]{1,255})")
_STARTED = ("Accepted connection", "cleaning up after", "click, disconnecting", "Listening on")


class _Connection(msgspec.Struct):
    client: str
    name: str
    helo: str = ""
    user: str = ""
    has_tls: bool = False
    verb: str = ""
    argument: str = ""
    transaction: Transaction | None = None


class QpsmtpdImporter(Importer):
    """Reads qpsmtpd's lines."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        super().__init__(most)
        self._open: OpenTable[str, _Connection] = OpenTable(self._end, _IDLE, most)

    def feed(self, entry: Entry) -> bool:
        """Read an entry; return whether it is one of qpsmtpd."""
        if entry.program and not entry.program.startswith("qpsmtpd"):
            return False
        self._open.expire(entry.time)
        match = _LINE.match(entry.text)
        if match is None:
            return False
        connection = self._open.get(match["pid"], entry.time)
        if connect := _CONNECT.match(match["text"]):
            name = connect["name"]
            self._open.start(
                match["pid"],
                entry.time,
                _Connection(connect["client"], "" if name in ("Unknown", "unknown") else name),
            )
        elif connection is None:
            return match["hook"] is not None or match["text"].startswith(_STARTED)
        elif match["plugin"]:
            _remark(connection, match["plugin"], match["text"])
        else:
            self._line(match["pid"], connection, entry.time, match["text"])
        return True

    def finish(self) -> None:
        """End all connections."""
        self._open.finish()

    @property
    def dropped(self) -> int:
        """The number of connections that were dropped."""
        return self._open.dropped

    def _line(self, pid: str, connection: _Connection, time: float, text: str) -> None:
        if command := _COMMAND.match(text):
            connection.verb = command["verb"].upper()
            connection.argument = command["argument"] or ""
            if connection.verb in ("HELO", "EHLO"):
                connection.helo = connection.argument.strip()
            elif connection.verb == "MAIL":
                self._close(connection, time, Ending.ABANDONED)
                connection.transaction = _begin(connection, time)
        elif reply := _REPLY.match(text):
            if reply["more"] == " ":
                self._reply(connection, time, reply)
        elif text.startswith("click, disconnecting"):
            self._open.end(pid)
            self._end(time, connection)

    def _reply(self, connection: _Connection, time: float, reply: re.Match[str]) -> None:
        code, text = reply["code"], f"{reply['code']} {reply['text']}"
        if connection.verb == "MAIL" and code[0] != "2":
            connection.transaction = None
        elif connection.verb == "RCPT" and connection.transaction is not None:
            is_accepted = code[0] == "2"
            status = Status.ACCEPTED if is_accepted else status_of(text)
            connection.transaction.add(_address(connection.argument), status, text)
        elif connection.verb == "DATA" and code != "354":
            self._content(connection, time, code, text)
        elif connection.verb == "AUTH" and code == "235":
            connection.user = connection.user or "authenticated"
        elif connection.verb == "STARTTLS" and code == "220":
            connection.has_tls = True
        elif connection.verb == "RSET":
            self._close(connection, time, Ending.ABANDONED)

    def _content(self, connection: _Connection, time: float, code: str, text: str) -> None:
        found = connection.transaction
        if found is not None and code[0] != "2" and is_about_content(text):
            found.verdict = Verdict.SPAM
        endings = {"2": Ending.ACCEPTED, "4": Ending.DEFERRED}
        self._close(connection, time, endings.get(code[0], Ending.REFUSED), text)
        connection.verb = ""

    def _close(self, connection: _Connection, time: float, ending: Ending, reply: str = "") -> None:
        found, connection.transaction = connection.transaction, None
        if found is not None:
            self.emit(found.end(time, ending, reply))

    def _end(self, time: float, connection: _Connection) -> None:
        self._close(connection, time, Ending.ABANDONED)


def _begin(connection: _Connection, time: float) -> Transaction:
    return Transaction(
        time,
        client=connection.client,
        name=connection.name,
        helo=connection.helo,
        sender=_address(connection.argument),
        user=connection.user,
        has_tls=connection.has_tls,
        is_local=connection.client in ("127.0.0.1", "::1"),
    )


def _address(argument: str) -> str:
    match = _PATH.search(argument)
    return match["address"] if match else argument.partition(":")[2].strip()


def _remark(connection: _Connection, plugin: str, text: str) -> None:
    """Take the results of content filters and of authentication from a plugin's line."""
    found = connection.transaction
    if found is None:
        return
    if plugin.startswith(("spamassassin", "dspam", "rspamd")) and (match := _SCORE.search(text)):
        is_spam = match["result"].lower() in ("spam", "yes", "fail")
        found.verdict = Verdict.SPAM if is_spam else Verdict.CLEAN
        found.score = float(match["score"])
    elif plugin.startswith("virus") and _VIRUS.search(text):
        found.verdict = Verdict.SPAM
    elif plugin.startswith("dkim") and "pass" in text and (match := _DKIM.search(text)):
        found.dkim.append(match["domain"].lower())
    elif plugin.startswith(("sender_permitted_from", "spf")):
        found.spf = text.partition(":")[0].partition(",")[0].strip().lower()
