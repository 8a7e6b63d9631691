"""BDAT: content by count (RFC 3030)."""

from tests.differential.row import ANY_CUT, MAIL, RCPT, READY, START, Row, one

SERVER = "usual"
CUTS = ANY_CUT

TEXT = b"Subject: x\r\n\r\nhello\r\n"
SIZE = b"%d" % len(TEXT)
ONE = b"BDAT " + SIZE + b" LAST\r\n" + TEXT


def spread(size, *, last=True):
    """Return TEXT in chunks of a size."""
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    return b"".join(
        b"BDAT %d%b\r\n%b" % (len(one), b" LAST" * (last and at == len(chunks) - 1), one)
        for at, one in enumerate(chunks)
    )


def refused(name, argument, replies="501 close", **more):
    return one(name, "RFC 3030 2", f"BDAT{argument}", replies, after=RCPT, messages=[], **more)


UNSURE = "The size is not clear, so what follows may be content or commands."
ROWS = [
    one("one chunk", "RFC 3030 2", ONE, "250", after=RCPT, messages=[TEXT]),
    one(
        "lower case",
        "RFC 5321 2.4",
        ONE.replace(b"BDAT", b"bdat").replace(b"LAST", b"last"),
        "250",
        after=RCPT,
        messages=[TEXT],
    ),
    one(
        "mixed case",
        "RFC 5321 2.4",
        ONE.replace(b"BDAT", b"bDaT").replace(b"LAST", b"LasT"),
        "250",
        after=RCPT,
        messages=[TEXT],
    ),
    one("two chunks", "RFC 3030 2", spread(10), "250 250 250", after=RCPT, messages=[TEXT]),
    one(
        "chunks of one octet",
        "RFC 3030 2",
        spread(1),
        " ".join(["250"] * len(TEXT)),
        after=RCPT,
        messages=[TEXT],
    ),
    one(
        "a cut between CR and LF", "RFC 3030 2", spread(11), "250 250", after=RCPT, messages=[TEXT]
    ),
    one(
        "an empty last chunk",
        "RFC 3030 2",
        spread(30, last=False) + b"BDAT 0 LAST\r\n",
        "250 250",
        after=RCPT,
        messages=[TEXT],
    ),
    one("an empty message", "RFC 3030 2", b"BDAT 0 LAST\r\n", "250", after=RCPT, messages=[b""]),
    one(
        "an empty chunk that is not the last",
        "RFC 3030 2",
        b"BDAT 0\r\n",
        "5",
        after=RCPT,
        messages=[],
        reason="RFC 3030 does not forbid it. Postfix and Exim refuse it too.",
    ),
    one(
        "dots are content",
        "RFC 3030 2",
        b"BDAT 9 LAST\r\na\r\n.\r\n..b",
        "250",
        after=RCPT,
        messages=[b"a\r\n.\r\n..b"],
    ),
    one(
        "commands in a chunk are content",
        "RFC 3030 2",
        b"BDAT 6 LAST\r\nRSET\r\n",
        "250",
        after=RCPT,
        messages=[b"RSET\r\n"],
    ),
    one(
        "content without a last line end",
        "RFC 3030 2",
        b"BDAT 2 LAST\r\nab",
        "250",
        after=RCPT,
        messages=[b"ab"],
    ),
    one(
        "zeros in front of the size",
        "RFC 3030 2",
        b"BDAT 0003 LAST\r\nabc",
        "250",
        after=RCPT,
        messages=[b"abc"],
    ),
    one(
        "blanks between the arguments",
        "RFC 3030 2",
        b"BDAT 3  LAST\r\nabc",
        "250",
        after=RCPT,
        messages=[b"abc"],
    ),
    one(
        "a blank at the end",
        "RFC 5321 4.1.1",
        b"BDAT 3 LAST \r\nabc",
        "250",
        after=RCPT,
        messages=[b"abc"],
    ),
    Row(
        "two messages",
        "RFC 3030 2",
        [
            (ONE, "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<c@example.com>", "250"),
            (b"BDAT 3 LAST\r\nabc", "250"),
        ],
        RCPT,
        messages=[TEXT, b"abc"],
    ),
    Row(
        "DATA after a message with BDAT",
        "RFC 3030 2",
        [
            (ONE, "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<c@example.com>", "250"),
            ("DATA", "354"),
            (b"abc\r\n.\r\n", "250"),
        ],
        RCPT,
        messages=[TEXT, b"abc\r\n"],
    ),
    Row(
        "the end of a message ends the transaction",
        "RFC 3030 2",
        [(ONE, "250"), ("RCPT TO:<c@example.com>", "503")],
        RCPT,
    ),
    # Order
    one("BDAT without MAIL", "RFC 3030 2", ONE + b"NOOP\r\n", "503 250", after=READY, messages=[]),
    one(
        "BDAT without RCPT",
        "RFC 3030 2",
        ONE + b"NOOP\r\n",
        "554 250",
        after=MAIL,
        messages=[],
        only="smtp",
    ),
    one("BDAT without EHLO", "RFC 3030 2", ONE + b"NOOP\r\n", "503 250", after=START, messages=[]),
    Row(
        "DATA after BDAT",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("DATA", "503")],
        RCPT,
        messages=[],
    ),
    Row(
        "MAIL after BDAT", "RFC 3030 2", [(b"BDAT 3\r\nabc", "250"), ("MAIL FROM:<>", "503")], RCPT
    ),
    Row(
        "RCPT after BDAT",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("RCPT TO:<c@example.com>", "503")],
        RCPT,
    ),
    Row(
        "NOOP between chunks",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("NOOP", "250"), (b"BDAT 3 LAST\r\ndef", "250")],
        RCPT,
        messages=[b"abcdef"],
    ),
    Row(
        "an unknown command between chunks",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("XYZZY", "500"), (b"BDAT 3 LAST\r\ndef", "250")],
        RCPT,
        messages=[b"abcdef"],
    ),
    Row(
        "RSET between chunks drops the message",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("RSET", "250"), (b"BDAT 3 LAST\r\ndef", "503")],
        RCPT,
        messages=[],
    ),
    Row(
        "EHLO between chunks drops the message",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("EHLO client.example", "250"), (b"BDAT 3 LAST\r\ndef", "503")],
        RCPT,
        messages=[],
    ),
    Row(
        "QUIT between chunks drops the message",
        "RFC 3030 2",
        [(b"BDAT 3\r\nabc", "250"), ("QUIT", "221 close")],
        RCPT,
        messages=[],
    ),
    Row(
        "a new message after RSET",
        "RFC 3030 2",
        [
            (b"BDAT 3\r\nabc", "250"),
            ("RSET", "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<c@example.com>", "250"),
            (b"BDAT 3 LAST\r\ndef", "250"),
        ],
        RCPT,
        messages=[b"def"],
    ),
    Row(
        "chunks after a refused chunk",
        "RFC 3030 2",
        [
            (b"BDAT 2000\r\n" + b"x" * 2000, "552"),
            (b"BDAT 3\r\nabc", "5"),
            (b"BDAT 3 LAST\r\nabc", "5"),
            ("MAIL FROM:<>", "250"),
        ],
        RCPT,
        messages=[],
    ),
    Row(
        "DATA after a refused chunk",
        "RFC 3030 2",
        [(b"BDAT 2000\r\n" + b"x" * 2000, "552"), ("DATA", "503")],
        RCPT,
        messages=[],
    ),
    # Arguments
    refused("no size", "", reason=UNSURE),
    refused("LAST without a size", " LAST", reason=UNSURE),
    refused("a negative size", " -1", reason=UNSURE),
    refused("a size with a sign", " +3 LAST", reason=UNSURE),
    refused("a size of letters", " abc", reason=UNSURE),
    refused("a size in hexadecimal", " 0x10", reason=UNSURE),
    refused("a size with a fraction", " 3.0", reason=UNSURE),
    refused("a size of 20 digits", " 18446744073709551617 LAST", reason=UNSURE),
    refused("a size in other digits", " ٣ LAST", reason=UNSURE),
    refused("two sizes", " 3 4", reason=UNSURE),
    refused("a word in place of LAST", " 3 END", reason=UNSURE),
    refused("LAST twice", " 3 LAST LAST", reason=UNSURE),
    refused("LAST without a blank", " 3LAST", reason=UNSURE),
    refused("no blank in front of the size", "3 LAST", "5", reason="An unknown command."),
    one(
        "a CR at the end of the message",
        "RFC 5321 2.3.8",
        b"BDAT 2 LAST\r\na\r",
        "550 close",
        after=RCPT,
        messages=[],
    ),
    one(
        "a LF at the end of the message",
        "RFC 5321 2.3.8",
        b"BDAT 2 LAST\r\na\n",
        "550 close",
        after=RCPT,
        messages=[],
    ),
    Row(
        "a CR at the end of a chunk and an empty last chunk",
        "RFC 5321 2.3.8",
        [(b"BDAT 2\r\na\r", "250"), (b"BDAT 0 LAST\r\n", "550 close")],
        RCPT,
        messages=[],
    ),
    Row(
        "BDAT after HELO",
        "RFC 3030 2",
        [
            ("HELO client.example", "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            (b"BDAT 3 LAST\r\nabc", "250"),
        ],
        START,
        only="smtp",
        reason="HELO offers no extension, but a chunk that is not read would be taken for"
        " commands.",
    ),
]
