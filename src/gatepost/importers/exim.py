"""Exim's main log.

Exim writes refused recipients with their client and sender, but without a connection. Refusals of
the same client and sender with less than GAP seconds between them are one transaction. A message
has an identifier, from `<=` to `Completed`; it is finished at `Completed`, when its recipients are
in the `<=` line (`+received_recipients`), or after a pause.

sa-exim's lines have the recipients, score and verdict of the messages it scanned. `DKIM:` lines
have the domains of valid signatures.

Limits: refused recipients and an accepted message of the same transaction become two transactions.
Recipients that were accepted in a transaction without a message are not in the log.
"""

import re

from gatepost.importers.entry import Entry
from gatepost.importers.importer import Importer
from gatepost.importers.open_table import MOST_OPEN, OpenTable
from gatepost.importers.replies import is_about_content, is_temporary, is_unknown, status_of
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict

GAP = 120.0
_MESSAGE_IDLE = 600.0
_MOST_SENDERS = 100

_ID = r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})"
_HOST = (
    r"H=(?:(?P<name>[^\s(\[]{1,300}) )?(?:\((?P<helo>[^)]{0,300})\) )?"
    r"\[(?P<client>[^\]\s]{1,45})\](?::\d+)?"
)
_HOST_ANYWHERE = re.compile(_HOST)
_PREFIX = re.compile(r"(?:\[\d+\] )?(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d )?")
_WITH_ID = re.compile(rf"(?P<id>{_ID}) (?P<rest>.*)", re.DOTALL)
_REFUSED = re.compile(
    rf"{_HOST}(?P<facts>.{{0,1000}}?) F=<?(?P<sender>[^\s>]{{0,600}})>?(?P<more>.{{0,500}}?) "
    r"(?P<soft>temporarily )?rejected RCPT (?:<(?P<recipient>[^\s>]*)>|(?P<bare>[^\s:]*))"
    r"(?:: ?(?P<reply>.*))?",
    re.DOTALL,
)
_LEFT = re.compile(
    r"(?:unexpected disconnection|SMTP (?:connection|command timeout|protocol|call)|no MAIL in)"
    r".{0,500}? \[(?P<client>[0-9a-fA-F.:]{3,45})\]",
    re.DOTALL,
)
_ARRIVED = re.compile(r"<= (?P<sender>\S+) (?P<facts>.*)", re.DOTALL)
_DELIVERED = re.compile(
    r"(?P<sign>=>|->|\*\*|==|>>) (?P<to>\S+)(?: <(?P<original>[^>]*)>)?(?P<facts>.*)", re.DOTALL
)
_AFTER_DATA = re.compile(
    r"(?P<facts>.{0,2000}?)(?P<soft>temporarily )?rejected (?:after DATA|by local_scan\(\))"
    r"(?:: ?(?P<reply>.*))?",
    re.DOTALL,
)
_SA = re.compile(
    r"SA: Action: (?P<action>[^:]{0,200})(?:: score=(?P<score>-?\d+(?:\.\d+)?).{0,2000}?)?"
    r"\. From <(?P<sender>[^>]{0,600})> \((?:host=(?P<name>\S+) \[(?P<client>[^\]]*)\]|local)\)"
    r" for (?P<recipients>.*)",
    re.DOTALL,
)
_DKIM = re.compile(r"DKIM: d=(?P<domain>[\w.-]+) ")
_FIELD = {name: re.compile(rf"(?:^| ){name}=(\S+)") for name in ("A", "S", "id")}
_SENDER = re.compile(r"F=<?([^\s>]{0,600})")


class EximImporter(Importer):
    """Reads Exim's main log."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        super().__init__(most)
        # The transactions of a client, by sender.
        self._refused: OpenTable[str, dict[str, Transaction]] = OpenTable(
            self._end_client, GAP, most
        )
        self._messages: OpenTable[str, Transaction] = OpenTable(
            self._end_message, _MESSAGE_IDLE, most
        )

    def feed(self, entry: Entry) -> bool:
        """Read an entry; a line in syslog must be written by `exim`."""
        if entry.program and not entry.program.startswith("exim"):
            return False
        self._refused.expire(entry.time)
        self._messages.expire(entry.time)
        text = entry.text[_end_of_prefix(entry.text) :]
        if match := _WITH_ID.match(text):
            self._message(match["id"], entry.time, match["rest"])
        elif match := _REFUSED.match(text):
            self._refuse(entry.time, match)
        elif match := _LEFT.match(text):
            self._leave(match["client"], entry.time)
        else:
            return bool(entry.program) or text.startswith(("H=", "Start ", "End ", "no ", "exim"))
        return True

    def finish(self) -> None:
        """End all transactions."""
        self._refused.finish()
        self._messages.finish()

    @property
    def dropped(self) -> int:
        """The number of transactions that were dropped."""
        return self._refused.dropped + self._messages.dropped

    def _refuse(self, time: float, match: re.Match[str]) -> None:
        found = self._refused_transaction(time, match)
        found.ended = time
        reply = match["reply"] or ""
        status = Status.DEFERRED if match["soft"] else status_of(reply)
        found.add(match["recipient"] or match["bare"] or "", status, reply)

    def _refused_transaction(self, time: float, match: re.Match[str]) -> Transaction:
        client, sender = match["client"], match["sender"]
        by_sender = self._refused.get(client, time)
        if by_sender is None:
            by_sender = self._refused.start(client, time, {})
        found = by_sender.get(sender)
        if found is not None and time - found.ended < GAP:
            return found
        if found is not None or len(by_sender) >= _MOST_SENDERS:
            self._end_refused(by_sender.pop(sender if found else next(iter(by_sender))))
        found = by_sender[sender] = Transaction(time, sender=sender)
        _set_host(found, match)
        facts = match["facts"] + match["more"]
        found.has_tls = " X=" in facts
        found.user = _field("A", facts).partition(":")[2]
        return found

    def _leave(self, client: str, time: float) -> None:
        """End the transactions of a client that is gone."""
        for found in (self._refused.end(client) or {}).values():
            self.emit(found.end(time, Ending.ABANDONED))

    def _message(self, message_id: str, time: float, rest: str) -> None:
        if match := _ARRIVED.match(rest):
            self._arrive(message_id, time, match)
        elif match := _SA.match(rest):
            self._scanned(message_id, time, match)
        elif (match := _DKIM.match(rest)) and rest.endswith("[verification succeeded]"):
            self._draft(message_id, time).dkim.append(match["domain"].lower())
        elif rest.startswith("Completed"):
            found = self._messages.end(message_id)
            if found is not None:
                self._end_message(time, found)
        elif match := _DELIVERED.match(rest):
            self._deliver(message_id, time, match)
        elif match := _AFTER_DATA.match(rest):
            self._refuse_message(message_id, time, match)

    def _draft(self, message_id: str, time: float) -> Transaction:
        found = self._messages.get(message_id, time)
        if found is None:
            found = self._messages.start(message_id, time, Transaction(time, log_id=message_id))
        return found

    def _arrive(self, message_id: str, time: float, match: re.Match[str]) -> None:
        found, facts = self._draft(message_id, time), match["facts"]
        found.sender = "" if match["sender"] == "<>" else match["sender"]
        host = _HOST_ANYWHERE.search(facts)
        if host is not None:
            _set_host(found, host)
        found.is_local = host is None or host["client"] in ("127.0.0.1", "::1")
        found.user = _field("A", facts).partition(":")[2]
        found.has_tls = " X=" in facts
        size = _field("S", facts)
        found.size = int(size) if size.isdigit() else 0
        found.message_id = f"<{_field('id', facts)}>" if _field("id", facts) else ""
        found.end(time, Ending.ACCEPTED)
        recipients = facts.rpartition(" for ")[2] if " for " in facts else ""
        found.add_all((one for one in recipients.split() if "@" in one), Status.ACCEPTED)

    def _scanned(self, message_id: str, time: float, match: re.Match[str]) -> None:
        found = self._draft(message_id, time)
        action = match["action"]
        if match["score"]:
            found.score = float(match["score"])
            is_clean = "isn't spam" in action
            found.verdict = Verdict.CLEAN if is_clean else Verdict.SPAM
        found.sender = match["sender"]
        found.client, found.name = match["client"] or "", match["name"] or ""
        recipients = match["recipients"].replace(",", " ").split()
        found.add_all((one for one in recipients if "@" in one), Status.ACCEPTED)
        if "rejected" in action:
            found.end(time, Ending.DEFERRED if "temporarily" in action else Ending.REFUSED, action)

    def _refuse_message(self, message_id: str, time: float, match: re.Match[str]) -> None:
        found = self._messages.end(message_id) or Transaction(time, log_id=message_id)
        facts, reply = match["facts"] or "", match["reply"] or ""
        host = _HOST_ANYWHERE.search(facts)
        if host is not None:
            _set_host(found, host)
        sender = _SENDER.search(facts)
        if not found.sender:
            found.sender = sender[1] if sender else facts.partition(" ")[0] if "@" in facts else ""
        if is_about_content(reply):
            found.verdict = Verdict.SPAM
        is_soft = match["soft"] or is_temporary(reply)
        self.emit(found.end(time, Ending.DEFERRED if is_soft else Ending.REFUSED, reply))

    def _deliver(self, message_id: str, time: float, match: re.Match[str]) -> None:
        found = self._messages.get(message_id, time)
        if found is None:
            return
        address = match["original"] or match["to"]
        if "@" not in address:
            address = match["to"]
        is_gone = match["sign"] == "**" and is_unknown(match["facts"])
        if is_gone or address.lower() not in found.recipients:
            found.add(address, Status.UNKNOWN if is_gone else Status.ACCEPTED)

    def _end_client(self, _time: float, by_sender: dict[str, Transaction]) -> None:
        for found in by_sender.values():
            self._end_refused(found)

    def _end_refused(self, found: Transaction) -> None:
        self.emit(found.end(found.ended, Ending.REFUSED))

    def _end_message(self, _time: float, found: Transaction) -> None:
        """Emit a message; one that only has facts of a filter never arrived."""
        if found.ending is not Ending.UNKNOWN:
            self.emit(found)


def _end_of_prefix(text: str) -> int:
    match = _PREFIX.match(text)
    return match.end() if match else 0


def _set_host(transaction: Transaction, match: re.Match[str]) -> None:
    transaction.client = match["client"]
    transaction.name = match["name"] or ""
    transaction.helo = match["helo"] or match["name"] or ""


def _field(name: str, facts: str) -> str:
    match = _FIELD[name].search(facts)
    return match[1] if match else ""
