"""STARTTLS (RFC 3207)."""

from tests.differential.row import IN_STEPS, MAIL, RCPT, READY, START, TLS, Row, one

SERVER = "starttls"
CUTS = IN_STEPS

SECURED = (*READY, ("STARTTLS", "220"), (TLS, ""))
GREETED = (*SECURED, ("EHLO client.example", "250"))
ROWS = [
    Row(
        "a session in TLS",
        "RFC 3207 4.2",
        [
            ("MAIL FROM:<a@client.example>", "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b"a\r\n.\r\n", "250"),
            ("QUIT", "221 close"),
        ],
        GREETED,
        messages=[b"a\r\n"],
    ),
    one("starttls in lower case", "RFC 5321 2.4", "starttls", "220"),
    one(
        "STARTTLS before EHLO",
        "RFC 3207 4",
        "STARTTLS",
        "503",
        after=START,
        reason="Postfix accepts it. RFC 3207 expects the reply to EHLO first.",
    ),
    Row(
        "STARTTLS after HELO",
        "RFC 3207 4",
        [("HELO client.example", "250"), ("STARTTLS", "220")],
        START,
        only="smtp",
    ),
    one("STARTTLS with an argument", "RFC 3207 4", "STARTTLS now", "501"),
    one("a blank behind STARTTLS", "RFC 5321 4.1.1", "STARTTLS ", "220"),
    one("STARTTLS after MAIL", "RFC 3207 4", "STARTTLS", "503", after=MAIL),
    one("STARTTLS after RCPT", "RFC 3207 4", "STARTTLS", "503", after=RCPT),
    Row(
        "a refused STARTTLS keeps the session",
        "RFC 3207 4",
        [("STARTTLS now", "501"), ("STARTTLS", "220")],
    ),
    one(
        "MAIL before EHLO in TLS",
        "RFC 3207 4.2",
        "MAIL FROM:<>",
        "503",
        after=SECURED,
        reason="Postfix requires EHLO again only with smtpd_helo_required.",
    ),
    one("NOOP before EHLO in TLS", "RFC 5321 4.1.4", "NOOP", "250", after=SECURED),
    one("EHLO in TLS", "RFC 3207 4.2", "EHLO client.example", "250", after=SECURED),
    one("HELO in TLS", "RFC 3207 4.2", "HELO client.example", "250", after=SECURED, only="smtp"),
    one(
        "STARTTLS in TLS",
        "RFC 3207 4.2",
        "STARTTLS",
        "503",
        after=GREETED,
        reason="Postfix replies 554.",
    ),
    one("STARTTLS in TLS before EHLO", "RFC 3207 4.2", "STARTTLS", "503", after=SECURED),
    one("STARTTLS with an argument in TLS", "RFC 3207 4.2", "STARTTLS now", "50", after=GREETED),
    Row(
        "SMTPUTF8 of cleartext ends",
        "RFC 3207 4.2",
        [
            ("MAIL FROM:<a@client.example> SMTPUTF8", "250"),
            ("RSET", "250"),
            ("STARTTLS", "220"),
            (TLS, ""),
            ("EHLO client.example", "250"),
            ("MAIL FROM:<a@client.example>", "250"),
            ("RCPT TO:<грета@example.com>", "553"),
        ],
    ),
    one(
        "cleartext in place of the handshake",
        "RFC 3207 4",
        b"EHLO client.example\r\n",
        "close",
        after=(*READY, ("STARTTLS", "220")),
    ),
    one(
        "an HTTP request in place of the handshake",
        "RFC 3207 4",
        b"GET / HTTP/1.1\r\n\r\n",
        "close",
        after=(*READY, ("STARTTLS", "220")),
    ),
]
