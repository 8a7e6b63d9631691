"""Messages of Postfix by their queue ID: pickup, cleanup, qmgr and the delivery agents.

A message is finished when as many recipients as qmgr counted have an answer, or it is removed. A
bounce made by Postfix itself has no client and is not a message here.
"""

import re
from collections.abc import Callable

import msgspec

from gatepost.importers.entry import Entry
from gatepost.importers.open_table import OpenTable
from gatepost.importers.postfix.envelope import last_envelope
from gatepost.importers.replies import is_about_content, is_temporary, is_unknown
from gatepost.importers.transaction import Ending, Status, Transaction, Verdict

_IDLE = 6 * 3600.0

_QUEUED = re.compile(r"(?P<id>[0-9A-Za-z]{5,20}): (?P<rest>.*)", re.DOTALL)
_ACTIVE = re.compile(r"from=<(?P<sender>[^>]*)>, size=(?P<size>\d{1,15}), nrcpt=(?P<count>\d{1,9})")
_DELIVERY = re.compile(
    r"to=<(?P<to>[^>]*)>,(?: orig_to=<(?P<original>[^>]*)>,)? relay=[^,]*,.{0,300}?"
    r"dsn=(?P<dsn>[\d.]*), status=(?P<status>[\w-]+)(?: \((?P<reply>.*)\))?",
    re.DOTALL,
)


class Message(msgspec.Struct):
    """A message with the refused recipients before it, and its answered recipients."""

    transaction: Transaction
    refused: Transaction | None = None
    expected: int = 0
    answered: set[str] = msgspec.field(default_factory=set)


class Messages:
    """The open messages; `emit` gets finished transactions."""

    def __init__(self, emit: Callable[[Transaction], None], most: int) -> None:
        self._emit = emit
        self.open: OpenTable[str, Message] = OpenTable(self._end, _IDLE, most)

    def transaction(self, queue_id: str) -> Transaction | None:
        """Return the transaction of a queue ID, or None."""
        found = self.open.peek(queue_id)
        return found.transaction if found else None

    def refuse(self, queue_id: str, time: float, reply: str) -> None:
        """End a message that was refused at the end of its content."""
        message = self.open.end(queue_id)
        if message is None:
            return
        if is_about_content(reply):
            message.transaction.verdict = Verdict.SPAM
        ending = Ending.DEFERRED if is_temporary(reply) else Ending.REFUSED
        message.transaction.end(time, ending, reply)
        self._finish(message)

    def abandon(self, queue_id: str, time: float) -> None:
        """End a message whose client left before the end of the content."""
        message = self.open.peek(queue_id)
        if message is not None and not message.expected:
            self.open.end(queue_id)
            message.transaction.end(time, Ending.ABANDONED)
            self._finish(message)

    def pickup(self, entry: Entry) -> None:
        """Read a line of a message submitted on the machine."""
        match = _QUEUED.match(entry.text)
        if match is not None and match["rest"].startswith("uid="):
            local = Transaction(entry.time, is_local=True, log_id=match["id"])
            self.open.start(match["id"], entry.time, Message(local))

    def cleanup(self, entry: Entry) -> None:
        """Read a line about the content."""
        match = _QUEUED.match(entry.text)
        message = self.open.get(match["id"], entry.time) if match else None
        if match is None or message is None:
            return
        rest = match["rest"]
        if rest.startswith("message-id="):
            message.transaction.message_id = rest[11:].strip()
        elif rest.startswith(("milter-reject: ", "reject: ")):
            self._content_refused(match["id"], message.transaction, entry.time, rest)

    def _content_refused(
        self, queue_id: str, transaction: Transaction, time: float, rest: str
    ) -> None:
        envelope = last_envelope(rest)
        if envelope is not None:
            transaction.sender = envelope["sender"]
            if envelope["recipient"]:
                transaction.add(envelope["recipient"], Status.ACCEPTED)
        transaction.verdict = Verdict.SPAM
        reply = rest[: envelope.start()] if envelope else rest
        self.refuse(queue_id, time, reply.partition(": ")[2])

    def qmgr(self, entry: Entry) -> None:
        """Read a line of the queue manager."""
        match = _QUEUED.match(entry.text)
        message = self.open.get(match["id"], entry.time) if match else None
        if match is None or message is None:
            return
        if match["rest"].startswith("removed"):
            self.open.end(match["id"])
            self._end(entry.time, message)
        elif active := _ACTIVE.match(match["rest"]):
            message.expected = int(active["count"])
            message.transaction.sender = active["sender"]
            message.transaction.size = int(active["size"])
            message.transaction.end(entry.time, Ending.ACCEPTED)

    def delivery(self, entry: Entry) -> None:
        """Read a line of a delivery agent."""
        queued = _QUEUED.match(entry.text)
        message = self.open.get(queued["id"], entry.time) if queued else None
        match = _DELIVERY.match(queued["rest"]) if queued and message else None
        if queued is None or message is None or match is None:
            return
        reply = match["reply"] or ""
        is_gone = match["status"] == "bounced" and is_unknown(f"{match['dsn']} {reply}")
        original = match["original"] or match["to"]
        message.transaction.add(
            original if "@" in original else match["to"],
            Status.UNKNOWN if is_gone else Status.ACCEPTED,
            reply,
        )
        message.answered.add(match["to"])
        if len(message.answered) >= max(message.expected, 1):
            self.open.end(queued["id"])
            self._end(entry.time, message)

    def _end(self, time: float, message: Message) -> None:
        if message.transaction.ending is Ending.UNKNOWN:
            message.transaction.ended = time
        self._finish(message)

    def _finish(self, message: Message) -> None:
        """Emit a message, with the refused recipients of its transaction."""
        transaction, refused = message.transaction, message.refused
        if refused is not None and refused.sender == transaction.sender:
            for one in refused.recipients.values():
                transaction.add(one.address, one.status, one.reply)
        elif refused is not None:
            self._emit(refused.end(refused.ended, Ending.REFUSED))
            transaction.time = max(transaction.time, refused.ended)
        self._emit(transaction)
