"""Octets of a look-up service, cut in any way, are the same answers, up to the same bad one."""

import sys
from collections.abc import Callable

from fuzz.engine import Target, run
from gatepost.wire.tables.conversation import BadAnswerError, Conversation
from gatepost.wire.tables.dovecot import DovecotUsers, escape, unescape
from gatepost.wire.tables.socketmap import Socketmap
from gatepost.wire.tables.tcp_table import TcpTable

HELLO = b"VERSION\t1\t2\n"
TOKENS = [
    HELLO,
    b"USER\t1\t",
    b"NOTFOUND\t2\n",
    b"FAIL\t1\n",
    b"5:OK ab,",
    b"9:NOTFOUND ,",
    b"TEMP ",
    b"200 a\n",
    b"500 x\n",
    b"%0A",
    b"\t",
    b"\n",
    b":",
    b",",
    b"\x01",
    b"\xff",
]
SEEDS = [
    HELLO + b"USER\t1\ta\nNOTFOUND\t2\n",
    b"5:OK ab,9:NOTFOUND ,",
    b"200 a%20b\n500 no\n",
    b"100000:",
]
PIECES = (1, 7)
KEYS = ("a@example.com", "b@example.com")
START: tuple[Callable[[], Conversation], ...] = (
    lambda: DovecotUsers("lmtp"),
    lambda: Socketmap("users"),
    TcpTable,
)


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    for start in START:
        whole = _answers(start(), data, len(data) or 1)
        assert all(_answers(start(), data, size) == whole for size in PIECES)
    text = data.decode("latin-1")
    assert unescape(escape(text)) == text


def _answers(conversation: Conversation, data: bytes, size: int) -> list[object]:
    for key in KEYS:
        conversation.request(key)
    found: list[object] = []
    try:
        for begin in range(0, len(data), size):
            conversation.receive_data(data[begin : begin + size])
            while (answer := conversation.next_answer()) is not None:
                found.append(answer)
    except BadAnswerError:
        found.append("bad")
    return found


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
