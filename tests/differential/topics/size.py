"""The limit on the size of a message, here 1,000 octets."""

from tests.differential.row import ANY_CUT, DATA, RCPT, READY, Row, one

SERVER = "usual"
CUTS = ANY_CUT

LIMIT = 1000
LINE = b"x" * 98 + b"\r\n"
FULL = LINE * 10
AGAIN = [("MAIL FROM:<>", "250"), ("RCPT TO:<b@example.com>", "250")]

ROWS = [
    one(
        "content at the limit", "RFC 1870 6.3", FULL + b".\r\n", "250", after=DATA, messages=[FULL]
    ),
    one(
        "content one octet over the limit",
        "RFC 1870 6.3",
        b"x" + FULL + b".\r\n",
        "552",
        after=DATA,
        messages=[],
    ),
    one(
        "content over the limit is read to its end",
        "RFC 1870 6.3",
        FULL + FULL + b"MAIL FROM:<>\r\n.\r\nNOOP\r\n",
        "552 250",
        after=DATA,
        messages=[],
    ),
    one(
        "added dots do not count",
        "RFC 1870 5",
        b".." + FULL[1:] + b".\r\n",
        "250",
        after=DATA,
        messages=[b"." + FULL[1:]],
    ),
    one(
        "one dot and no dots added",
        "RFC 1870 5",
        b"..\r\n" + FULL[3:] + b".\r\n",
        "250",
        after=DATA,
        messages=[b".\r\n" + FULL[3:]],
    ),
    Row(
        "the session goes on after 552",
        "RFC 1870 6.3",
        [(b"x" + FULL + b".\r\n", "552"), *AGAIN, ("DATA", "354"), (b"a\r\n.\r\n", "250")],
        DATA,
        messages=[b"a\r\n"],
    ),
    one(
        "content far over the limit",
        "RFC 5321 4.5.3.1.9",
        b"x" * 6000,
        "552 close",
        after=DATA,
        messages=[],
        reason="Four times the limit is read, so that the client receives the reply.",
    ),
    Row(
        "a message longer than its declared size",
        "RFC 1870 6.3",
        [
            ("MAIL FROM:<> SIZE=10", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (FULL + b".\r\n", "250"),
        ],
        messages=[FULL],
        reason="RFC 1870 section 6.3 allows a refusal. Postfix accepts it as well.",
    ),
    Row(
        "a message shorter than its declared size",
        "RFC 1870 6.3",
        [
            ("MAIL FROM:<> SIZE=900", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b"a\r\n.\r\n", "250"),
        ],
        messages=[b"a\r\n"],
    ),
    one(
        "a chunk at the limit",
        "RFC 3030 2",
        b"BDAT 1000 LAST\r\n" + FULL,
        "250",
        after=RCPT,
        messages=[FULL],
    ),
    one(
        "a chunk over the limit",
        "RFC 3030 2",
        b"BDAT 1001 LAST\r\nx" + FULL + b"NOOP\r\n",
        "552 250",
        after=RCPT,
        messages=[],
    ),
    one(
        "two chunks over the limit together",
        "RFC 3030 2",
        b"BDAT 600\r\n" + b"x" * 600 + b"BDAT 600 LAST\r\n" + b"x" * 600 + b"NOOP\r\n",
        "250 552 250",
        after=RCPT,
        messages=[],
    ),
    one(
        "a chunk far over the limit",
        "RFC 3030 2",
        b"BDAT 1000000 LAST\r\n",
        "552 close",
        after=RCPT,
        messages=[],
    ),
    one(
        "a line of 998 octets",
        "RFC 5321 4.5.3.1.6",
        b"x" * 998 + b"\r\n.\r\n",
        "250",
        after=DATA,
        messages=[b"x" * 998 + b"\r\n"],
    ),
    one(
        "a command line in the middle of the limit",
        "RFC 5321 4.5.3.1.4",
        "MAIL FROM:<a@client.example> " + "SIZE=1".ljust(980),
        "250",
        after=READY,
    ),
    one("an empty message", "RFC 5321 4.1.1.4", b".\r\n", "250", after=DATA, messages=[b""]),
]
