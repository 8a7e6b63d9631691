"""The sessions of actors with their ground truth, and the replies of the server.

An actor makes a `Session`. The server sees the commands of it and `Facts`. The rest is the truth,
which only the metrics read: the campaign, the kind, and the intent of each recipient.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec


class Kind(Enum):
    """The true kind of a message."""

    LEGITIMATE = "legitimate"
    SPAM = "spam"
    ATTACK = "attack"


class Intent(Enum):
    """The reason why a sender names a recipient."""

    MEANT = "meant"  # a user, meant as such
    TYPO = "typo"
    STALE = "stale"
    LIST = "list"  # an entry of a spammer's list
    GUESS = "guess"
    POISON = "poison"
    PROBE = "probe"


class Facts(msgspec.Struct, frozen=True):
    """Facts that a server finds out about a message, besides its commands.

    `spf` is whether the client may send for the sender's domain, `dkim` the domains with a valid
    signature, `name` the verified reverse name, `looks_bad` the verdict of a content filter.
    """

    spf: bool = False
    dkim: tuple[str, ...] = ()
    name: str = ""
    looks_bad: bool = False


class Recipient(NamedTuple):
    """An address and the reason why it is named."""

    address: str
    intent: Intent


class Envelope(msgspec.Struct, frozen=True):
    """A message of a session.

    `label` distinguishes parts of a campaign. `listed` is whether a DNS block list would have
    refused the client, which the server is not asked. With `probe` the client ends before DATA.
    `is_reply` is whether the content is a reply to another message.
    """

    sender: str
    recipients: tuple[Recipient, ...]
    kind: Kind
    facts: Facts = Facts()
    label: str = ""
    campaign: str = ""
    listed: bool = False
    probe: bool = False
    standing: str = ""
    is_reply: bool = False


class Session(msgspec.Struct, frozen=True):
    """A connection: its time in seconds, the client, its messages, and the name of the actor."""

    time: float
    client: str
    helo: str
    messages: tuple[Envelope, ...]
    actor: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The replies to a message: codes of RCPT (0: none), of DATA, and of the end of the data.

    `marked` is whether the accepted message has the header field of a mark.
    """

    recipients: tuple[int, ...]
    data: int = 0
    end: int = 0
    marked: bool = False

    @property
    def is_accepted(self) -> bool:
        """Return whether the server took the message."""
        return self.end == 250


# The replies to each message of a session.
Outcome = tuple[Answer, ...]
