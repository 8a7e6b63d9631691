"""LMTP: one reply for each accepted recipient (RFC 2033)."""

from tests.differential.row import ANY_CUT, DATA, MAIL, RCPT, Row, one

SERVER = "usual"
CUTS = ANY_CUT

TWO = (*RCPT, ("RCPT TO:<c@example.com>", "250"))
THREE = (*TWO, ("RCPT TO:<b@example.com>", "250"))
MIXED = (*RCPT, ("RCPT TO:<c@elsewhere.example>", "550"), ("RCPT TO:<d@example.com>", "250"))


def lmtp(name, section, steps, after, **more):
    return Row(name, section, steps, after, only="lmtp", **more)


ROWS = [
    lmtp("one recipient", "RFC 2033 4.2", [(b"a\r\n.\r\n", "250")], DATA, messages=[b"a\r\n"]),
    lmtp(
        "two recipients",
        "RFC 2033 4.2",
        [("DATA", "354"), (b"a\r\n.\r\n", "250 250")],
        TWO,
        messages=[b"a\r\n"],
    ),
    lmtp(
        "the same recipient twice",
        "RFC 2033 4.2",
        [("DATA", "354"), (b"a\r\n.\r\n", "250 250 250")],
        THREE,
    ),
    lmtp(
        "a refused recipient has no reply",
        "RFC 2033 4.2",
        [("DATA", "354"), (b"a\r\n.\r\n", "250 250")],
        MIXED,
        recipients=["b@example.com", "d@example.com"],
    ),
    lmtp(
        "refused content",
        "RFC 2033 4.2",
        [("DATA", "354"), (b"x" * 1200 + b"\r\n.\r\n", "552 552")],
        TWO,
        messages=[],
    ),
    lmtp(
        "content with a bare LF",
        "RFC 2033 4.2",
        [("DATA", "354"), (b"a\nb\r\n.\r\n", "550 550 close")],
        TWO,
        messages=[],
    ),
    lmtp("BDAT LAST", "RFC 2033 4.3", [(b"BDAT 3 LAST\r\nabc", "250 250")], TWO, messages=[b"abc"]),
    lmtp(
        "a chunk that is not the last",
        "RFC 2033 4.3",
        [(b"BDAT 3\r\nabc", "250"), (b"BDAT 3 LAST\r\ndef", "250 250")],
        TWO,
        messages=[b"abcdef"],
    ),
    lmtp(
        "an empty last chunk",
        "RFC 2033 4.3",
        [(b"BDAT 3\r\nabc", "250"), (b"BDAT 0 LAST\r\n", "250 250 250")],
        THREE,
    ),
    lmtp(
        "a refused BDAT LAST",
        "RFC 2033 4.3",
        [(b"BDAT 2000 LAST\r\n" + b"x" * 2000, "552 552")],
        TWO,
        messages=[],
    ),
    lmtp(
        "a refused chunk",
        "RFC 2033 4.3",
        [(b"BDAT 2000\r\n" + b"x" * 2000, "552"), (b"BDAT 1 LAST\r\nx", "503 503")],
        TWO,
        messages=[],
    ),
    lmtp("DATA without RCPT", "RFC 2033 4.2", [("DATA", "503")], MAIL),
    lmtp(
        "DATA with refused recipients only",
        "RFC 2033 4.2",
        [("RCPT TO:<c@elsewhere.example>", "550"), ("DATA", "503")],
        MAIL,
    ),
    lmtp(
        "BDAT LAST without a recipient",
        "RFC 2033 4.3",
        [(b"BDAT 3 LAST\r\nabc", "503")],
        MAIL,
        reason="RFC 2033 requires no reply at all, but a client would wait for one.",
    ),
    lmtp("BDAT without a recipient", "RFC 2033 4.3", [(b"BDAT 3\r\nabc", "503")], MAIL),
    lmtp(
        "the number of replies of the next message",
        "RFC 2033 4.2",
        [
            ("DATA", "354"),
            (b"a\r\n.\r\n", "250 250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b"b\r\n.\r\n", "250"),
        ],
        TWO,
        messages=[b"a\r\n", b"b\r\n"],
    ),
    lmtp(
        "RSET drops the recipients",
        "RFC 2033 4.2",
        [
            ("RSET", "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b"b\r\n.\r\n", "250"),
        ],
        TWO,
    ),
    lmtp(
        "LHLO drops the recipients",
        "RFC 2033 4.2",
        [
            ("EHLO client.example", "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b"b\r\n.\r\n", "250"),
        ],
        TWO,
    ),
    lmtp(
        "a command behind the end of content",
        "RFC 2033 4.2",
        [("DATA", "354"), (b"a\r\n.\r\nNOOP\r\n", "250 250 250")],
        TWO,
    ),
    lmtp(
        "no recipients in two messages",
        "RFC 2033 4.2",
        [("DATA", "503"), ("RSET", "250"), ("MAIL FROM:<>", "250"), ("DATA", "503")],
        MAIL,
    ),
    one("the null reverse-path", "RFC 5321 4.5.5", "MAIL FROM:<>", "250", only="lmtp"),
]
