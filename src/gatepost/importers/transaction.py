"""A transaction as a log describes it; every importer returns these.

A log seldom has everything. A field without a value in the log is empty, or UNKNOWN.
"""

from collections.abc import Iterable
from enum import Enum

import msgspec

# More recipients of one transaction are only counted. Longer texts are cut.
MOST_RECIPIENTS = 1000
_MOST_ADDRESS = 400
_MOST_REPLY = 200


class Status(Enum):
    """The answer to a recipient."""

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"  # no such mailbox
    REFUSED = "refused"  # for another reason
    DEFERRED = "deferred"


class Ending(Enum):
    """The end of a transaction."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"
    ABANDONED = "abandoned"  # the client left or started over
    UNKNOWN = "unknown"


class Verdict(Enum):
    """The judgement of a content filter."""

    NONE = "none"
    CLEAN = "clean"
    SPAM = "spam"


class Recipient(msgspec.Struct):
    """A recipient as the client sent it, with the answer to it."""

    address: str
    status: Status
    reply: str = ""


class Transaction(msgspec.Struct):
    """One MAIL command and what followed.

    `time` and `ended` are seconds since 1970. `client` is an IP address, `name` its reverse name.
    `user` is the authenticated user. `is_local` is whether the message was submitted on the machine
    of the log, or sent to other servers by it. `dkim` has the domains of valid signatures.
    `recipients` has each address once, by its lower-case form.
    """

    time: float
    client: str = ""
    name: str = ""
    helo: str = ""
    sender: str = ""
    recipients: dict[str, Recipient] = msgspec.field(default_factory=dict)
    more_recipients: int = 0
    ending: Ending = Ending.UNKNOWN
    ended: float = 0.0
    reply: str = ""
    size: int = 0
    verdict: Verdict = Verdict.NONE
    score: float | None = None
    user: str = ""
    is_local: bool = False
    has_tls: bool = False
    spf: str = ""
    dmarc: str = ""
    dkim: list[str] = msgspec.field(default_factory=list)
    message_id: str = ""
    log_id: str = ""

    def add(self, address: str, status: Status, reply: str = "") -> None:
        """Add a recipient; a later answer to the same address replaces the earlier one."""
        address = address[:_MOST_ADDRESS]
        key = address.lower()
        if key not in self.recipients and len(self.recipients) >= MOST_RECIPIENTS:
            self.more_recipients += 1
            return
        self.recipients[key] = Recipient(address, status, reply[:_MOST_REPLY])

    def add_all(self, addresses: Iterable[str], status: Status, reply: str = "") -> None:
        """Add recipients with the same answer."""
        for address in addresses:
            self.add(address, status, reply)

    def end(self, time: float, ending: Ending, reply: str = "") -> "Transaction":
        """Set the end and return the transaction."""
        self.ended, self.ending = time, ending
        self.reply = reply[:_MOST_REPLY] or self.reply
        return self

    @property
    def is_trusted(self) -> bool:
        """True if one of our own users or programs sent it."""
        return self.is_local or self.user != ""

    def with_status(self, status: Status) -> list[Recipient]:
        """Return the recipients that got this answer."""
        return [one for one in self.recipients.values() if one.status is status]
