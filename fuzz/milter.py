"""Any octets of a mail server end in events or a fault, with pure content within the limit."""

import sys

from tests.wire import mta
from tests.wire.milter_invariants import assert_events_are_sound, assert_same_events

from fuzz.engine import Target, run

TOKENS = [
    *(mta.connect(), mta.helo(), mta.mail(), mta.rcpt(), mta.DATA, mta.END_OF_FIELDS, mta.END),
    *(mta.field("A", " b"), mta.body(b"x\r\n"), mta.body(b"\r"), mta.ABORT, mta.REUSE, mta.QUIT),
    *(b"\0", b"\0\0\0\1", b"\0\0\0\2", b"\r", b"\n", b"\r\n ", b"D", b"L", b"B", b"\xff"),
    mta.macros("R", rcpt_mailer="error", rcpt_host="5.1.1", rcpt_addr="550 unknown"),
]
SEEDS = [
    *(mta.offer(), mta.OPEN, mta.ENVELOPE, mta.ENVELOPE + mta.message(("Subject", " x"))),
    mta.offer(2, 0x3F, 0) + mta.connect() + mta.mail() + mta.rcpt() + mta.field("A", "b") + mta.END,
    mta.ENVELOPE + mta.message(("A", " b\n c"), text=b"d\r") + mta.REUSE + mta.connect(),
]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    assert_events_are_sound(data, [bool(octet & 1) for octet in data[-8:]])
    assert_same_events(data, [data[at : at + 1] for at in range(len(data))])


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
