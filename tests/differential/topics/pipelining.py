"""Commands sent ahead (RFC 2920), on a server that enforces the rules.

Each step arrives in one piece, so the rows are not cut into octets.
"""

from tests.differential.row import DATA, MAIL, RCPT, READY, START, UNCUT, Row, one

SERVER = "synchronised"
CUTS = UNCUT

ENVELOPE = b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@example.com>\r\n"
HELO = (("HELO client.example", "250"),)
ENFORCED = "As Postfix (smtpd_forbid_unauth_pipelining). Exim checks it too."


def refused(name, sent, replies, **more):
    return one(name, "RFC 2920 3.1", sent, replies + " close", reason=ENFORCED, **more)


ROWS = [
    one("an envelope with DATA", "RFC 2920 3.1", ENVELOPE + b"DATA\r\n", "250 250 354"),
    one(
        "many recipients",
        "RFC 2920 3.1",
        b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@example.com>\r\n" * 5 + b"DATA\r\n",
        "250 250 250 250 250 250 354",
    ),
    one("RSET in front of an envelope", "RFC 2920 3.1", b"RSET\r\n" + ENVELOPE, "250 250 250"),
    one(
        "content and the next envelope",
        "RFC 2920 3.1",
        b"a\r\n.\r\n" + ENVELOPE + b"DATA\r\n",
        "250 250 250 354",
        after=DATA,
    ),
    one("content and QUIT", "RFC 2920 3.1", b"a\r\n.\r\nQUIT\r\n", "250 221 close", after=DATA),
    one("content and RSET", "RFC 2920 3.1", b"a\r\n.\r\nRSET\r\n", "250 250", after=DATA),
    one(
        "a refused recipient in a group",
        "RFC 2920 3.1",
        b"MAIL FROM:<>\r\nRCPT TO:<c@elsewhere.example>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        "250 550 250 354",
    ),
    one(
        "only refused recipients and DATA",
        "RFC 2920 3.1",
        b"MAIL FROM:<>\r\nRCPT TO:<c@elsewhere.example>\r\nDATA\r\n",
        "250 550 554",
        only="smtp",
    ),
    one(
        "a refused MAIL in a group",
        "RFC 2920 3.1",
        b"MAIL FROM:broken\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        "501 503 503",
    ),
    one(
        "an unknown command in a group",
        "RFC 2920 3.1",
        b"MAIL FROM:<>\r\nXYZZY\r\nRCPT TO:<b@example.com>\r\n",
        "250 500 250",
    ),
    one("a group that ends with NOOP", "RFC 2920 3.1", ENVELOPE + b"NOOP\r\n", "250 250 250"),
    one("a group that ends with QUIT", "RFC 2920 3.1", ENVELOPE + b"QUIT\r\n", "250 250 221 close"),
    one("a group that ends with VRFY", "RFC 2920 3.1", ENVELOPE + b"VRFY b\r\n", "250 250 252"),
    one(
        "a group that ends with EHLO",
        "RFC 2920 3.1",
        b"RSET\r\nEHLO client.example\r\n",
        "250 250",
        only="smtp",
    ),
    one("BDAT with its envelope", "RFC 3030 4.2", ENVELOPE + b"BDAT 3 LAST\r\nabc", "250 250 250"),
    one(
        "chunks in one piece",
        "RFC 3030 4.2",
        b"BDAT 3\r\nabcBDAT 3\r\ndefBDAT 0 LAST\r\n",
        "250 250 250",
        after=RCPT,
        messages=[b"abcdef"],
    ),
    one(
        "BDAT and the next envelope",
        "RFC 3030 4.2",
        b"BDAT 3 LAST\r\nabc" + ENVELOPE,
        "250 250 250",
        after=RCPT,
    ),
    one("a command cut in the middle", "RFC 2920 3.1", b"MAIL FROM:<>\r\nRCPT TO:<b@exa", "250"),
    refused(
        "EHLO and MAIL", b"EHLO client.example\r\nMAIL FROM:<>\r\n", "554", after=START, only="smtp"
    ),
    refused(
        "LHLO and MAIL", b"LHLO client.example\r\nMAIL FROM:<>\r\n", "554", after=START, only="lmtp"
    ),
    refused(
        "HELO and MAIL", b"HELO client.example\r\nMAIL FROM:<>\r\n", "554", after=START, only="smtp"
    ),
    refused("NOOP and MAIL", b"NOOP\r\nMAIL FROM:<>\r\n", "554"),
    refused("VRFY and MAIL", b"VRFY b\r\nMAIL FROM:<>\r\n", "554"),
    refused("EXPN and MAIL", b"EXPN list\r\nMAIL FROM:<>\r\n", "554"),
    refused("DATA and content", b"DATA\r\na\r\n.\r\n", "554", after=RCPT, messages=[]),
    refused(
        "an envelope, DATA and content",
        ENVELOPE + b"DATA\r\na\r\n.\r\n",
        "250 250 554",
        messages=[],
    ),
    refused("DATA and QUIT", b"DATA\r\nQUIT\r\n", "554", after=RCPT),
    refused(
        "DATA in lower case and content", b"data\r\na\r\n.\r\n", "554", after=RCPT, messages=[]
    ),
    refused("two commands after HELO", ENVELOPE, "554", after=HELO, only="smtp"),
    refused("RSET twice after HELO", b"RSET\r\nRSET\r\n", "554", after=HELO, only="smtp"),
    Row(
        "single commands after HELO",
        "RFC 5321 4.1.1.1",
        [
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b"a\r\n.\r\n", "250"),
        ],
        HELO,
        messages=[b"a\r\n"],
        only="smtp",
    ),
    one(
        "a whole session in one piece",
        "RFC 2920 3.1",
        b"EHLO client.example\r\n" + ENVELOPE + b"DATA\r\na\r\n.\r\nQUIT\r\n",
        "554 close",
        after=START,
        messages=[],
        only="smtp",
        reason=ENFORCED,
    ),
    one(
        "a refused DATA and content",
        "RFC 2920 3.1",
        b"DATA\r\nRCPT TO:<evil@example.com>\r\n",
        "5 close",
        after=MAIL,
        reason=ENFORCED,
        messages=[],
    ),
    one(
        "a second greeting in a group",
        "RFC 2920 3.1",
        b"EHLO client.example\r\nEHLO client.example\r\n",
        "554 close",
        after=READY,
        only="smtp",
        reason=ENFORCED,
    ),
]
