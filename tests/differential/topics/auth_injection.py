"""Input behind AUTH or a response, sent before the reply (RFC 4954 section 4).

Each step arrives in one piece, so the rows are not cut into octets.
"""

from tests.differential.row import UNCUT, one
from tests.differential.topics.auth import CONTINUED, LOGIN_PASSWORD, LOGIN_USER, PASSWORD, RIGHT
from tests.differential.topics.auth import USER as NAME

SERVER = "auth"
CUTS = UNCUT

REASON = "Postfix reads the next command, unless it enforces synchronisation."
BEHIND = {
    "a command": b"NOOP\r\n",
    "MAIL": b"MAIL FROM:<evil@client.example>\r\n",
    "half a command": b"RSE",
    "an empty line": b"\r\n",
    "a NUL": b"\0",
}
BEFORE = {
    "AUTH PLAIN with its response": ((), f"AUTH PLAIN {RIGHT}"),
    "AUTH PLAIN": ((), "AUTH PLAIN"),
    "AUTH LOGIN": ((), "AUTH LOGIN"),
    "the response of PLAIN": (CONTINUED, RIGHT),
    "the name of LOGIN": (LOGIN_USER, NAME),
    "the password of LOGIN": (LOGIN_PASSWORD, PASSWORD),
    "a cancelled exchange": (CONTINUED, "*"),
}

ROWS = [
    one(
        f"{name} behind {front}",
        "RFC 4954 4",
        f"{line}\r\n".encode() + octets,
        "554 close",
        reason=REASON,
        **({"after": after} if after else {}),
    )
    for name, octets in BEHIND.items()
    for front, (after, line) in BEFORE.items()
]
