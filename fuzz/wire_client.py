"""A next hop that sends anything, with lines cut in any way: equal answers, and only `PeerError`.

The text of a reply is well formed. The first byte of an input chooses the commands, each sent after
the answer to the previous one. The rest is the output of the next hop, line by line.
"""

import re
import sys
from collections.abc import Iterator

from tests.wire.driver import SPLITS, Split
from tests.wire.invariants import assert_replies_well_formed

from fuzz.engine import Target, run
from gatepost.model.address import Address
from gatepost.wire import events as e
from gatepost.wire.smtp import NEED_DATA, ProtocolError
from gatepost.wire.smtp.sending.client import CommandReply, LmtpClient, SmtpClient
from gatepost.wire.smtp.sending.reply_reader import PeerError

_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
_A = Address("a", "b")
_ENVELOPE: list[e.Event] = [e.Ehlo("c"), e.Mail(_A, {}), e.Rcpt(_A, {}), e.Rcpt(_A, {})]
CONVERSATIONS: list[list[e.Event]] = [
    [*_ENVELOPE, e.Data(), e.Content(b".x"), e.EndOfMessage(), e.Rset(), e.Quit()],
    [*_ENVELOPE, e.Bdat(1, last=True, first=True), e.Content(b"x"), e.EndOfMessage(), e.Quit()],
    [e.Ehlo("c"), e.StartTls(), e.Ehlo("c"), e.Mail(_A, {})],
    [e.Helo("c"), e.Mail(_A, {}), e.Rset(), e.Quit()],
]
TOKENS = [
    *(b"220 a\r\n", b"250 ok\r\n", b"250-x\r\n", b"354 go\r\n", b"550 5.1.1 no\r\n", b"\r\n"),
    *(
        b"421 4.3.2 bye\r\n",
        b"250-PIPELINING\r\n",
        b"250 SIZE 10\r\n",
        b"\n",
        b"\r",
        b"-",
        b"2.0.0",
    ),
    *(b"x" * 700, b"\xff", b"334 \r\n", b"250", b"250-a\r\n" * 60),
]
_GOOD = b"220 a\r\n250-b\r\n250 PIPELINING\r\n" + b"250 ok\r\n" * 3
SEEDS = [
    b"\0" + _GOOD + b"354 go\r\n250 2.0.0 ok\r\n250 ok\r\n221 bye\r\n",
    b"\1" + _GOOD + b"250 ok\r\n221 bye\r\n",
    b"\2220 a\r\n250 STARTTLS\r\n220 go\r\n250 ok\r\n250 ok\r\n",
    b"\3220 a\r\n250 b\r\n250 ok\r\n250 ok\r\n221 bye\r\n",
    b"\4" + _GOOD + b"354 go\r\n250 ok\r\n550 no\r\n",
]


def _converse(choice: int, data: bytes, split: Split) -> tuple[list[CommandReply], bool]:
    """Send each command as soon as possible; return the answers, and whether it broke."""
    client = (SmtpClient, LmtpClient)[choice >> 2 & 1]()
    commands = iter(CONVERSATIONS[choice & 3])
    answers: list[CommandReply] = []
    try:
        for piece in (piece for line in _LINES.findall(data) for piece in split(line)):
            client.receive_data(piece)
            while isinstance(answer := client.next_event(), CommandReply):
                answers.append(answer)
                _send_next(client, commands)
            assert client.next_event() is NEED_DATA
    except PeerError:
        assert client.broken
    return answers, client.broken


def _send_next(client: SmtpClient, commands: Iterator[e.Event]) -> None:
    """Send commands up to the next outstanding answer."""
    while not (client.broken or client.owed):
        command = next(commands, None)
        if command is None:
            return
        try:
            client.send(command)
        except ProtocolError:
            return  # the next hop refused an earlier command


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    choice, output = (data[0], data[1:]) if data else (0, b"")
    first, *others = [_converse(choice, output, split) for split in SPLITS]
    for answer in first[0]:
        assert_replies_well_formed(answer.reply.encoded)
    for other in others:
        assert other == first


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
