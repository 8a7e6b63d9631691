"""DATA: dots, line ends, and what counts as the end of the content."""

from tests.differential.row import ANY_CUT, DATA, RCPT, Row, one

SERVER = "usual"
CUTS = ANY_CUT


def content(name, section, sent, kept, **more):
    """Return a row of accepted content: the octets sent in front of the end, and those kept."""
    return one(name, section, sent + b".\r\n", "250", after=DATA, messages=[kept], **more)


def impure(name, sent, **more):
    return one(
        name, "RFC 5321 2.3.8", sent + b"\r\n.\r\n", "550 close", after=DATA, messages=[], **more
    )


STRICT = "Postfix normalises such content by default. Sendmail 8.18 refuses it."
DOTS = "RFC 5321 4.5.2"
ROWS = [
    content("one line", "RFC 5321 4.1.1.4", b"a\r\n", b"a\r\n"),
    content("no line", "RFC 5321 4.1.1.4", b"", b""),
    content("an empty line", "RFC 5321 4.1.1.4", b"\r\n", b"\r\n"),
    content("empty lines at the end", "RFC 5321 4.1.1.4", b"a\r\n\r\n\r\n", b"a\r\n\r\n\r\n"),
    content("blanks at the end of a line", "RFC 5321 2.3.8", b"a  \r\n", b"a  \r\n"),
    content("tabs", "RFC 5321 2.3.8", b"a\tb\t\r\n", b"a\tb\t\r\n"),
    content(
        "octets over 127",
        "RFC 6152 3",
        bytes(range(128, 256)) + b"\r\n",
        bytes(range(128, 256)) + b"\r\n",
        reason="Other servers also accept it without BODY=8BITMIME.",
    ),
    content(
        "control characters",
        "RFC 5321 2.3.8",
        b"\x01\x07\x08\x0b\x0c\x1b\x7f\r\n",
        b"\x01\x07\x08\x0b\x0c\x1b\x7f\r\n",
    ),
    content("a form feed is no line end", "RFC 5321 2.3.8", b"a\x0c.\x0cb\r\n", b"a\x0c.\x0cb\r\n"),
    content(
        "NEL and the line separator are no line ends",
        "RFC 5321 2.3.8",
        b"a\xc2\x85.\xe2\x80\xa8.\r\n",
        b"a\xc2\x85.\xe2\x80\xa8.\r\n",
    ),
    content("a dot behind text", DOTS, b"a.\r\n", b"a.\r\n"),
    content("a dot and text", DOTS, b".a\r\n", b"a\r\n"),
    content("two dots", DOTS, b"..\r\n", b".\r\n"),
    content("two dots and text", DOTS, b"..a\r\n", b".a\r\n"),
    content("three dots", DOTS, b"...\r\n", b"..\r\n"),
    content("dots in the middle", DOTS, b"a\r\n..b\r\nc\r\n", b"a\r\n.b\r\nc\r\n"),
    content("a dot within a line", DOTS, b"a..b\r\n", b"a..b\r\n"),
    content("a dot and a blank", DOTS, b"a\r\n. \r\n", b"a\r\n \r\n"),
    content("a blank and a dot", DOTS, b"a\r\n .\r\n", b"a\r\n .\r\n"),
    content("lines of dots", DOTS, b"..\r\n..\r\n..\r\n", b".\r\n.\r\n.\r\n"),
    content("a dot in front of an empty line", DOTS, b"..\r\n\r\n", b".\r\n\r\n"),
    content(
        "commands are content",
        "RFC 5321 4.1.1.4",
        b"QUIT\r\nRSET\r\nMAIL FROM:<>\r\n",
        b"QUIT\r\nRSET\r\nMAIL FROM:<>\r\n",
    ),
    content("a header without a body", "RFC 5321 2.3.1", b"Subject: x\r\n", b"Subject: x\r\n"),
    content(
        "no header",
        "RFC 5321 6.4",
        b"\r\nbody\r\n",
        b"\r\nbody\r\n",
        reason="chasquid parses the header and refuses a broken one. RFC 5321 section 6.4"
        " advises against that.",
    ),
    content(
        "a line that is no header field",
        "RFC 5321 6.4",
        b"no field\r\nSubject: x\r\n\r\n",
        b"no field\r\nSubject: x\r\n\r\n",
    ),
    content("a field without a value", "RFC 5321 6.4", b"Subject:\r\n\r\n", b"Subject:\r\n\r\n"),
    impure("a bare LF", b"a\nb", reason=STRICT),
    impure("a bare CR", b"a\rb", reason=STRICT),
    impure("a NUL", b"a\0b", reason=STRICT),
    impure("two CRs in front of LF", b"a\r", reason=STRICT),
    impure("LF CR", b"a\n\rb", reason=STRICT),
    impure("a bare LF in front", b"\na", reason=STRICT),
    impure("a bare CR in front", b"\ra", reason=STRICT),
    impure("a bare LF in the header", b"Subject: x\nTo: y\r\n\r\nbody", reason=STRICT),
    impure("every line end is LF", b"a\nb\nc\n", reason=STRICT),
    Row(
        "a command in the same segment as the end",
        "RFC 2920 3.1",
        [(b"a\r\n.\r\nNOOP\r\n", "250 250")],
        DATA,
        messages=[b"a\r\n"],
    ),
    Row(
        "QUIT in the same segment as the end",
        "RFC 2920 3.1",
        [(b"a\r\n.\r\nQUIT\r\n", "250 221 close")],
        DATA,
        messages=[b"a\r\n"],
    ),
    Row(
        "content without an end", "RFC 5321 4.1.1.4", [(b"a\r\nb\r\n..\r\n", "")], DATA, messages=[]
    ),
    Row(
        "a dot without a line end",
        "RFC 5321 4.1.1.4",
        [(b"a\r\n.", ""), (b"\r\n", "250")],
        DATA,
        messages=[b"a\r\n"],
    ),
    Row(
        "a dot and CR",
        "RFC 5321 4.1.1.4",
        [(b"a\r\n.\r", ""), (b"\n", "250")],
        DATA,
        messages=[b"a\r\n"],
    ),
    Row(
        "one reply for two recipients",
        "RFC 5321 4.1.1.4",
        [("RCPT TO:<c@example.com>", "250"), ("DATA", "354"), (b"a\r\n.\r\n", "250")],
        RCPT,
        recipients=["b@example.com", "c@example.com"],
        only="smtp",
    ),
]
