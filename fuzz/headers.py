"""Any text gives a header field that stays within the header block, or a `ValueError`.

Any bytes can be read as a header block.
"""

import sys

from fuzz.engine import Target, run
from gatepost.model.headers import Headers
from gatepost.model.message import Message

TOKENS = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n ",
    b"\r\n\t",
    b"\0",
    b": ",
    b" ",
    b"\t",
    b"\x0b",
    b"\xc2\x85",
]
SEEDS = [b"a value", b"a\r\n folded value", b"Subject: a\r\n b\r\nTo: c\r\n\r\n", b" \t" * 40]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    for name, value in Headers(data):
        assert name
        assert "\r\n" not in name + value
    text = data.decode("utf-8", "replace")
    with Message(10) as message:
        try:
            message.add_header("X", text)
        except ValueError:
            return
        message.write(b"\r\n")
        lines = bytes(message).split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert lines[0].startswith(b"X: ")
    assert all(line[:1] in (b" ", b"\t") and line.strip() for line in lines[1:-2])
    assert not any(set(line) & set(b"\r\n\0") for line in lines)


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
