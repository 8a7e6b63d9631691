"""The responses of a filter that refuse, and the reply that accepts a message with changes.

A refusal is the text that the mail server sends to its client. It consists of complete lines that
begin with the code and the enhanced status code, with CRLF between them. A percent sign is doubled:
Sendmail's library does that too, and mail servers undo it.

Security: mail servers have had memory faults with malformed responses. Each line is encoded by
`gatepost.model.reply`, whatever a plugin has put into it.
"""

from typing import Final

from gatepost.model.reply import Reply
from gatepost.wire.milter import codes as c
from gatepost.wire.milter.changes import Changes
from gatepost.wire.milter.packets import packet

CONTINUE: Final = packet(c.CONTINUE)
DISCARD: Final = packet(c.DISCARD)
PROGRESS: Final = packet(c.PROGRESS)
SKIP: Final = packet(c.SKIP)

# The limit of Sendmail's library.
MAX_LINES: Final = 32
_PLAIN: Final = {4: "4.0.0", 5: "5.0.0"}


class ChangedReply(Reply):
    """A reply that accepts a message, with the changes that the mail server is to make."""

    __slots__ = ("changes",)

    def __init__(self, reply: Reply, changes: Changes) -> None:
        super().__init__(reply.code, reply.text, reply.enhanced)
        self.changes = changes

    def reworded(self, code: int, text: str, enhanced: str | None) -> Reply:  # noqa: ARG002
        """Return the same reply: the mail server has its own words for acceptance."""
        return self


def refusal(reply: Reply) -> bytes:
    """Return the response that refuses with a reply; it always has an enhanced status code."""
    lines = reply.text.splitlines()
    if reply.enhanced is None or len(lines) > MAX_LINES:
        enhanced = reply.enhanced or _PLAIN[reply.code // 100]
        reply = Reply(reply.code, "\n".join(lines[:MAX_LINES]), enhanced)
    text = reply.encoded.removesuffix(b"\r\n").replace(b"%", b"%%")
    return packet(c.REPLY, text + b"\0")
