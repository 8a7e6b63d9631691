"""A policy request, cut in any way, gives the same events, and every answer is one line."""

import sys

from fuzz.engine import Target, run
from gatepost.model.reply import Reply
from gatepost.wire.events import Fault
from gatepost.wire.policy import UNREADABLE, PolicyWire, answer
from gatepost.wire.protocol import Signal

FIRST = b"request=smtpd_access_policy\n"
TOKENS = [
    FIRST,
    b"\n\n",
    b"\n",
    b"=",
    b"sender=",
    b"recipient=a@b\n",
    b"instance=1\n",
    b"\0",
    b"\xff",
]
SEEDS = [FIRST + b"\n", (FIRST + b"sender=a@b\nsize=1\n\n") * 2, b"\n\n", FIRST + b"x\n\n"]
PIECES = (1, 7, 4096)


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    whole = _events(data, len(data) or 1)
    assert all(_events(data, size) == whole for size in PIECES)
    line = answer(Reply(554, data.decode("latin-1"), "5.7.1"))
    assert line.count(b"\n") == 2
    assert line.endswith(b"\n\n")


def _events(data: bytes, size: int) -> list[object]:
    wire, events = PolicyWire(), list[object]()
    for start in range(0, len(data), size):
        wire.receive_data(data[start : start + size])
        while not isinstance(event := wire.next_event(), Signal):
            events.append(event)
            wire.send(UNREADABLE if isinstance(event, Fault) else Reply(250, "Ok"))
    return events


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
