"""The rows of the suite: one dialogue each, with the expected reply classes."""

from typing import NamedTuple

# Expected at the end of a step after which the server has closed the connection.
CLOSE = "close"

# The ways to cut the input of a topic, by name. In one piece, no reply comes before the last octet.
ANY_CUT = ("stepwise", "bytewise", "whole")
IN_STEPS = ("stepwise", "bytewise")
UNCUT = ("stepwise",)

Step = tuple[str | bytes, str]


class Handshake(bytes):
    """Sent in place of octets: the client's side of a TLS handshake."""


TLS = Handshake()

# The state in which a row starts: the steps in front of it.
START: tuple[Step, ...] = ()
READY: tuple[Step, ...] = (("EHLO client.example", "250"),)
MAIL: tuple[Step, ...] = (*READY, ("MAIL FROM:<a@client.example>", "250"))
RCPT: tuple[Step, ...] = (*MAIL, ("RCPT TO:<b@example.com>", "250"))
DATA: tuple[Step, ...] = (*RCPT, ("DATA", "354"))


class Row(NamedTuple):
    """One dialogue.

    `section` is the RFC that requires the replies. A step of `steps` is what the client sends and
    the replies to it. Text is sent as one line with CRLF (EHLO as LHLO in LMTP), bytes as they are.
    The replies are codes or their first digits; "close" stands for the end of the connection.
    `messages` are the contents that the server has accepted at the end, if the row checks them.
    `senders` and `recipients` are the paths of the accepted messages. `reason` explains a reply
    that differs from that of another server. `only` names the protocol of a row that is for one,
    `server` another kind of server than that of the topic.
    """

    name: str
    section: str
    steps: list[Step]
    after: tuple[Step, ...] = READY
    messages: list[bytes] | None = None
    senders: list[str] | None = None
    recipients: list[str] | None = None
    reason: str = ""
    only: str = ""
    server: str = ""

    @property
    def dialogue(self) -> tuple[Step, ...]:
        """Return all steps."""
        return (*self.after, *self.steps)


def one(name: str, section: str, sent: str | bytes, replies: str, **more: object) -> Row:
    """Return a row of one step."""
    return Row(name, section, [(sent, replies)], **more)  # type: ignore[arg-type]
