"""Edits of any content keep what they do not name, and the octets are those that were announced.

The content and the pieces in which it arrives are any bytes with pure line ends.
"""

import sys

from fuzz.engine import Target, run
from gatepost.model.message import Message

TOKENS = [
    b"\n",
    b"\n\n",
    b"\n ",
    b"\n\t",
    b"X: ",
    b"x :",
    b"DKIM-Signature:",
    b" h=",
    b"d=a;",
    b":",
    b"From ",
]
SEEDS = [
    b"Subject: a\n b\nX: c\n\nX: body\n",
    b"DKIM-Signature: d=a; h=x:x\nX: 1\nx : 2\n\n",
    b"\nbody",
    b"X: 1",
    b" X: 1\n\n",
]
_END = b"\r\n\r\n"


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    lines = data.replace(b"\r", b"").replace(b"\0", b"").split(b"\n")
    content = b"\r\n".join(lines)
    size = len(data) % 7 + 1
    with Message(len(data) % 100) as message:
        for at in range(0, len(content), size):
            message.write(content[at : at + size])
        message.complete()
        body = content if content.startswith(b"\r\n") else content.partition(_END)[2]
        removed = message.remove_header("X")
        assert len(message.headers().get_all("x")) == 0
        if not removed:
            assert bytes(message) == content
        assert bytes(message).endswith(body)
        message.replace_header("X", "new")
        message.add_header("X", "first")
        assert message.headers().get_all("X") == ["first", "new"]
        assert message.full_size == len(bytes(message))
        message.replace_body(b"new body\r\n")
        result = bytes(message)
    assert result.endswith(b"\r\n\r\nnew body\r\n")
    assert message.full_size == len(result)


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
