"""Input in cleartext behind STARTTLS, which an attacker may have inserted (RFC 3207 section 6).

Each step arrives in one piece, so the rows are not cut into octets.
"""

from tests.differential.row import UNCUT, Row, one

SERVER = "starttls"
CUTS = UNCUT

BEHIND = {
    "a command": b"NOOP\r\n",
    "EHLO": b"EHLO client.example\r\n",
    "MAIL": b"MAIL FROM:<evil@client.example>\r\n",
    "RSET": b"RSET\r\n",
    "QUIT": b"QUIT\r\n",
    "STARTTLS again": b"STARTTLS\r\n",
    "AUTH": b"AUTH PLAIN AGEAYg==\r\n",
    "half a command": b"RSE",
    "one letter": b"N",
    "an empty line": b"\r\n",
    "a line feed": b"\n",
    "a NUL": b"\0",
    "an envelope": b"MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
    "the start of a handshake": b"\x16\x03\x01\x00\x05",
}

ROWS = [
    *(
        one(
            f"{name} behind STARTTLS",
            "RFC 3207 6",
            b"STARTTLS\r\n" + octets,
            "554 close",
            reason="Postfix drops such input and starts TLS. A refusal makes the attack visible.",
        )
        for name, octets in BEHIND.items()
    ),
    Row(
        "no injected envelope in TLS",
        "RFC 3207 6",
        [
            (
                b"STARTTLS\r\nMAIL FROM:<evil@client.example>\r\nRCPT TO:<b@example.com>\r\n",
                "554 close",
            )
        ],
        messages=[],
    ),
]
