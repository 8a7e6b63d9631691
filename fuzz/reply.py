"""Any text becomes well-formed reply lines of printable ASCII."""

import sys

from tests.wire.invariants import assert_classes_match, assert_replies_well_formed

from fuzz.engine import Target, run
from gatepost.model.reply import Reply

TOKENS = [
    *(b"\r\n", b"\r", b"\n", b"\0", b"\x1b[0m", b"\x85", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b"),
    *(b"550 ", b"5.7.1 ", b"4.7.1 ", b"250-", b"\xd9\xa1", b"x" * 600, b"\n" * 110),
]
SEEDS = [b"554 5.7.1 Message refused", b"250 ok", b"450 a\nb\nc", b"550 5.7.1 " + b"x" * 600]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    text = data.decode("utf-8", "replace")
    replies = [Reply(550, text, "5.7.1"), Reply(354, text)]
    try:
        replies.append(Reply.parse(text))
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017 - not the UnicodeError kind
    for reply in replies:
        assert_replies_well_formed(reply.encoded)
        if reply.enhanced:
            assert_classes_match(reply.encoded)
        referred = reply.with_reference("ref").encoded
        assert_replies_well_formed(referred)
        assert referred.endswith(b" [ref]\r\n")


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
