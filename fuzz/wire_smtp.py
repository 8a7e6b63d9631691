"""Any input, cut in any way: no exception, equal events, sound replies, pure content.

With and without the commands and parameters that plugins add.
Also: unread input never exceeds a command line, and each event that takes a reply has exactly one.
The first byte of an input chooses the refusals of policy, the rest is the input of the client.
"""

import sys

from tests.wire.driver import (
    DATA,
    DEFERRED,
    DENIED,
    HELLO,
    MAIL,
    RCPT,
    Answerer,
    extended,
    usual,
)
from tests.wire.invariants import assert_added, assert_all, assert_answered

from fuzz.engine import Target, run
from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.smtp import SmtpServer

# By bit of the first byte: the kind of event that is refused, and the reply.
REFUSALS: list[tuple[type[e.Event], Reply]] = [
    (e.Ehlo, DENIED),
    (e.Mail, DEFERRED),
    (e.Rcpt, DENIED),
    (e.Data, DENIED),
    (e.Bdat, DEFERRED),
    (e.EndOfMessage, DENIED),
    (e.MessageFault, DENIED),
    (e.Bdat, DENIED.closing()),
]
TOKENS = [
    *(b"\r\n", b"\r", b"\n", b"\0", b".", b"\r\n.\r\n", b"\r\n.\r", b"\n.\n", b"..", b" ", b"\t"),
    *(b"EHLO c\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b"RSET\r\n"),
    *(b"NOOP\r\n", b"QUIT\r\n", b"BDAT 3\r\n", b"BDAT 3 LAST\r\n", b"BDAT 0\r\n", b" LAST"),
    *(b"XSTATUS", b"XIDLE", b"XONE", b"XNONE", b" XFOO", b" XBAR", b"=value", b"xstatus a b\r\n"),
    *(b" SMTPUTF8", b" SIZE=9", b" BODY=8BITMIME", b"\xc3\xbc", b"\xff", b"x" * 60, b"99999999"),
]
SEEDS = [
    b"\0" + HELLO + b"VRFY a\r\nEXPN b\r\nHELP\r\nNOOP\r\nRSET\r\nQUIT\r\n",
    b"\0" + DATA + b"Subject: a\r\n\r\n..\r\nbody\r\n.\r\nQUIT\r\n",
    b"\0" + DATA + b"x" * 300 + b"\r\n.\r\n",
    b"\0" + RCPT + b"BDAT 5\r\nab\r\ncBDAT 2 LAST\r\n\r\nMAIL FROM:<>\r\n",
    b"\x10" + RCPT + b"BDAT 5\r\nab\r\ncBDAT 2 LAST\r\n\r\nNOOP\r\n",
    b"\x20" + DATA + b"a\r\n.\r\n" + MAIL + b"RCPT TO:<Postmaster>\r\nDATA\r\n.\r\n",
    b"\x40" + RCPT + b"BDAT 3\r\na\nbBDAT 4 LAST\r\nQUITNOOP\r\n",
    b"\0" + HELLO + b"XSTATUS all of it\r\nXIDLE\r\nXONE a\r\nXONE a b\r\nxnone\r\nXNONE a\r\n",
    b"\0" + HELLO + b"MAIL FROM:<> XFOO=1 SIZE=9\r\nRCPT TO:<c@d> XBAR\r\nXSTATUS\r\nDATA\r\n.\r\n",
    b"\0" + RCPT + b"BDAT 3\r\na\r\nXONE a\r\nBDAT 0 LAST\r\nMAIL FROM:<> XBAR=a XFOO==\r\n",
    b"\0" + HELLO + 'MAIL FROM:<ü@b> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<"a b"@é>\r\n'.encode(),
]


def setup(choice: int) -> Answerer:
    """Return an answerer that refuses the events of the bits in `choice`."""
    refused = {kind: reply for bit, (kind, reply) in enumerate(REFUSALS) if choice >> bit & 1}
    return lambda event: refused.get(type(event)) or usual(event)


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    answer = setup(data[0] if data else 0)
    for make in (SmtpServer, extended):
        played = assert_all(data[1:], answer, make=make)
        assert_answered(played, answer)
        assert_added(played.events)


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
