"""EHLO, HELO, LHLO and the name of the client."""

from tests.differential.row import ANY_CUT, READY, START, Row, one

SERVER = "usual"
CUTS = ANY_CUT

UNCHECKED = "Postfix can refuse such names (reject_invalid_helo_hostname), but does not by default."
NAMES = {
    "a domain": "client.example",
    "a single label": "client",
    "localhost": "localhost",
    "a domain in upper case": "CLIENT.EXAMPLE",
    "an IPv4 literal": "[192.0.2.1]",
    "an IPv6 literal": "[IPv6:2001:db8::1]",
    "a general literal": "[tag:content]",
    "an A-label": "xn--n3h.example",
    "digits": "123",
    "a label of 63 octets": "a" * 63 + ".example",
}
LOOSE_NAMES = {
    "an address without brackets": "192.0.2.1",
    "an underscore": "my_host.example",
    "a hyphen in front": "-client.example",
    "a hyphen at the end": "client-.example",
    "two dots": "client..example",
    "a dot in front": ".client.example",
    "a dot at the end": "client.example.",
    "an open bracket": "[192.0.2.1",
    "a literal with a number over 255": "[192.0.2.256]",
    "a literal of a broken IPv6 address": "[IPv6:2001:db8::1::2]",
    "a slash": "client/example",
    "an address of a mailbox": "<user@client.example>",
    "a bang": "!",
    "a percent sign": "%s%s%n",
}

ROWS = [
    *(
        one(f"EHLO with {name}", "RFC 5321 4.1.1.1", f"EHLO {text}", "250", after=START)
        for name, text in NAMES.items()
    ),
    *(
        one(
            f"HELO with {name}", "RFC 5321 4.1.1.1", f"HELO {text}", "250", after=START, only="smtp"
        )
        for name, text in NAMES.items()
    ),
    *(
        one(
            f"EHLO with {name}",
            "RFC 5321 4.1.4",
            f"EHLO {text}",
            "250",
            after=START,
            reason=UNCHECKED,
        )
        for name, text in LOOSE_NAMES.items()
    ),
    one("EHLO with a name in UTF-8", "RFC 6531 3.7.1", "EHLO клиент.example", "250", after=START),
    one("EHLO without a name", "RFC 5321 4.1.1.1", "EHLO", "501", after=START),
    one("EHLO with a blank", "RFC 5321 4.1.1.1", "EHLO ", "501", after=START),
    one("HELO without a name", "RFC 5321 4.1.1.1", "HELO", "501", after=START, only="smtp"),
    one(
        "ehlo in lower case", "RFC 5321 2.4", "ehlo client.example", "250", after=START, only="smtp"
    ),
    one(
        "helo in mixed case", "RFC 5321 2.4", "HeLo client.example", "250", after=START, only="smtp"
    ),
    one(
        "two blanks after EHLO",
        "RFC 5321 4.1.1",
        "EHLO  client.example",
        "250",
        after=START,
        reason="The grammar has one SP. Postfix accepts more as well.",
    ),
    one("a blank at the end of EHLO", "RFC 5321 4.1.1", "EHLO client.example ", "250", after=START),
    one(
        "text behind the name",
        "RFC 5321 4.1.1.1",
        "EHLO client.example hello there",
        "250",
        after=START,
        reason="Postfix takes the whole argument as the name.",
    ),
    Row(
        "a refused EHLO is not a greeting",
        "RFC 5321 4.1.4",
        [("EHLO", "501"), ("MAIL FROM:<>", "503")],
        START,
    ),
    Row(
        "a refused EHLO keeps the session",
        "RFC 5321 4.1.4",
        [("EHLO", "501"), ("MAIL FROM:<>", "250")],
        READY,
    ),
    Row(
        "EHLO after an error",
        "RFC 5321 4.1.4",
        [("XYZZY", "500"), ("EHLO client.example", "250")],
        START,
    ),
    Row(
        "parameters after HELO",
        "RFC 5321 4.1.1.1",
        [("HELO client.example", "250"), ("MAIL FROM:<> SIZE=10", "250")],
        START,
        only="smtp",
        reason="HELO offers no extension, but no client is harmed. Postfix accepts them too.",
    ),
    one(
        "EHLO in LMTP", "RFC 2033 4.1", b"EHLO client.example\r\n", "500", after=START, only="lmtp"
    ),
    one(
        "HELO in LMTP", "RFC 2033 4.1", b"HELO client.example\r\n", "500", after=START, only="lmtp"
    ),
    one("LHLO in SMTP", "RFC 2033 4.1", "LHLO client.example", "500", after=START, only="smtp"),
    one("LHLO without a name", "RFC 2033 4.1", "LHLO", "501", after=START, only="lmtp"),
    one(
        "lhlo in lower case", "RFC 5321 2.4", "lhlo client.example", "250", after=START, only="lmtp"
    ),
    one(
        "a header in the name",
        "RFC 5321 4.1.1.1",
        b"EHLO x\r\nSubject: y\r\n",
        "250 5",
        after=START,
        only="smtp",
    ),
]
