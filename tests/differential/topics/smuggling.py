"""Sequences that some servers take for the end of a message (SMTP smuggling).

Each sequence separates the content from a second envelope. The session must end with one refusal,
or the second envelope must be part of the content.
"""

from tests.differential.row import ANY_CUT, DATA, RCPT, one

SERVER = "usual"
CUTS = ANY_CUT

SECOND = (
    b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nsmuggled\r\n.\r\n"
)
# Sequences that are not pure: the whole message is refused.
IMPURE = {
    "LF dot LF": b"\n.\n",
    "LF dot CRLF": b"\n.\r\n",
    "LF dot CR": b"\n.\r",
    "CR dot CR": b"\r.\r",
    "CR dot LF": b"\r.\n",
    "CR dot CRLF": b"\r.\r\n",
    "CRLF dot LF": b"\r\n.\n",
    "CRLF dot CR": b"\r\n.\r",
    "CRLF dot CR CRLF": b"\r\n.\r\r\n",
    "CR CRLF dot CR CRLF": b"\r\r\n.\r\r\n",
    "CR CRLF dot CRLF": b"\r\r\n.\r\n",
    "CRLF NUL dot CRLF": b"\r\n\0.\r\n",
    "CRLF dot NUL CRLF": b"\r\n.\0\r\n",
    "LF CRLF dot CRLF": b"\n\r\n.\r\n",
    "CRLF LF dot LF": b"\r\n\n.\n",
    "LF LF dot LF LF": b"\n\n.\n\n",
    "LF CR dot LF CR": b"\n\r.\n\r",
    "CRLF dot LF CR": b"\r\n.\n\r",
    "CRLF CR dot CRLF": b"\r\n\r.\r\n",
    "LF dot dot LF": b"\n..\n",
}
# Sequences with only CRLF: part of the content. The first line of each is the end of a line.
PURE = {
    "CRLF dot dot CRLF": b"\r\n..\r\n",
    "CRLF dot blank CRLF": b"\r\n. \r\n",
    "CRLF blank dot CRLF": b"\r\n .\r\n",
    "CRLF dot tab CRLF": b"\r\n.\t\r\n",
    "CRLF dot vertical tab CRLF": b"\r\n.\x0b\r\n",
    "CRLF dot form feed CRLF": b"\r\n.\x0c\r\n",
    "CRLF dot NEL": b"\r\n.\xc2\x85",
    "CRLF dot line separator": b"\r\n.\xe2\x80\xa8",
    "NEL dot NEL": b"\xc2\x85.\xc2\x85",
    "CRLF full-width dot CRLF": b"\r\n\xef\xbc\x8e\r\n",
    "CRLF dot with its eighth bit CRLF": b"\r\n\xae\r\n",
    "CR with its eighth bit": b"\x8d\x8a.\x8d\x8a",
}
REASON = "Postfix normalises such line ends by default. Sendmail 8.18 refuses them."


def unstuffed(octets):
    return octets.replace(b"\r\n.", b"\r\n")


def chunk(octets):
    return b"BDAT %d LAST\r\n%b" % (len(octets), octets)


def first_end(octets):
    """Return the content up to its end, without the dots that DATA adds."""
    return unstuffed(octets.partition(b"\r\n.\r\n")[0] + b"\r\n")


ROWS = [
    *(
        one(
            f"{name} after DATA",
            "RFC 5321 2.3.8",
            b"a" + sequence + SECOND,
            "550 close",
            after=DATA,
            messages=[],
            reason=REASON,
        )
        for name, sequence in IMPURE.items()
    ),
    *(
        one(
            f"{name} after BDAT",
            "RFC 3030 2",
            chunk(b"a" + sequence + SECOND),
            "550 close",
            after=RCPT,
            messages=[],
            reason=REASON,
        )
        for name, sequence in IMPURE.items()
    ),
    *(
        one(
            f"{name} after DATA",
            "RFC 5321 4.1.1.4",
            b"a" + sequence + SECOND,
            "250",
            after=DATA,
            messages=[first_end(b"a" + sequence + SECOND)],
        )
        for name, sequence in PURE.items()
    ),
    *(
        one(
            f"{name} after BDAT",
            "RFC 3030 2",
            chunk(b"a" + sequence + SECOND),
            "250",
            after=RCPT,
            messages=[b"a" + sequence + SECOND],
        )
        for name, sequence in PURE.items()
    ),
    one(
        "CRLF dot CRLF after BDAT",
        "RFC 3030 2",
        chunk(b"a\r\n.\r\n" + SECOND),
        "250",
        after=RCPT,
        messages=[b"a\r\n.\r\n" + SECOND],
    ),
    one(
        "a bare LF at the end of BDAT",
        "RFC 5321 2.3.8",
        b"BDAT 3 LAST\nabcNOOP\r\n",
        "50 close",
        after=RCPT,
        messages=[],
    ),
    one(
        "a bare LF at the end of DATA",
        "RFC 5321 2.3.8",
        b"DATA\na\r\n.\r\n",
        "500 close",
        after=RCPT,
        messages=[],
    ),
    one(
        "a bare CR at the end of DATA",
        "RFC 5321 2.3.8",
        b"DATA\ra\r\n.\r\n",
        "500 close",
        after=RCPT,
        messages=[],
    ),
    one(
        "a cut of CRLF between two chunks with a bare LF",
        "RFC 3030 2",
        b"BDAT 2\r\na\rBDAT 2 LAST\r\nb\n",
        "250 550 close",
        after=RCPT,
        messages=[],
    ),
]
