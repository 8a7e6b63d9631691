"""Paths in which senders differ from the grammar of RFC 5321.

By default the server accepts the forms that Postfix accepts in practice. `smtp.strict_paths`
enforces the grammar. Each case has both replies and the mailbox that the default records.
"""

from typing import NamedTuple

from tests.differential.row import ANY_CUT, MAIL, Row, one

SERVER = "usual"
CUTS = ANY_CUT

RULE = "Postfix accepts it."
STRICT = "strict paths"
A_D_L = "RFC 5321 4.1.2"
COLON = "RFC 5321 4.1.1.2"


class Sender(NamedTuple):
    """The argument of MAIL, the replies by default and with strict paths, the recorded sender."""

    section: str
    argument: str
    default: str
    strict: str
    recorded: str = ""


SENDERS = {
    "a blank after the colon": Sender(
        COLON, " <a@client.example>", "250", "501", "a@client.example"
    ),
    "three blanks after the colon": Sender(
        COLON, "   <a@client.example>", "250", "501", "a@client.example"
    ),
    "a blank and the null path": Sender(COLON, " <>", "250", "501"),
    "a blank and a parameter": Sender(
        COLON, " <a@client.example> SIZE=1", "250", "501", "a@client.example"
    ),
    "no brackets": Sender(COLON, "a@client.example", "250", "501", "a@client.example"),
    "no brackets and a blank": Sender(COLON, " a@client.example", "250", "501", "a@client.example"),
    "no brackets and a parameter": Sender(
        COLON, "a@client.example SIZE=1", "250", "501", "a@client.example"
    ),
    "an underscore in the domain": Sender(
        A_D_L, "<a@my_host.example>", "250", "501", "a@my_host.example"
    ),
    "an underscore in front of the domain": Sender(
        A_D_L, "<a@_dmarc.example>", "250", "501", "a@_dmarc.example"
    ),
    "two dots in the local part": Sender(
        A_D_L, "<a..b@client.example>", "250", "501", '"a..b"@client.example'
    ),
    "a dot in front of the local part": Sender(
        A_D_L, "<.a@client.example>", "250", "501", '".a"@client.example'
    ),
    "a dot at the end of the local part": Sender(
        A_D_L, "<a.@client.example>", "250", "501", '"a."@client.example'
    ),
    "a dot only": Sender(A_D_L, "<.@client.example>", "250", "501", '"."@client.example'),
    "a dot at the end of the domain": Sender(
        "RFC 5321 2.3.5", "<a@client.example.>", "250", "501", "a@client.example"
    ),
    "an underscore in a source route": Sender(
        A_D_L, "<@my_host.example:a@client.example>", "250", "501", "a@client.example"
    ),
    "a literal with an unregistered tag": Sender(
        "RFC 5321 4.1.3", "<a@[x-tag:content]>", "250", "501", "a@[x-tag:content]"
    ),
    "an IPv6 literal without its tag": Sender("RFC 5321 4.1.3", "<a@[2001:db8::1]>", "501", "501"),
    "two colons for one group": Sender(
        "RFC 5321 4.1.3",
        "<a@[IPv6:1:2:3:4:5:6:7::]>",
        "250",
        "501",
        "a@[IPv6:1:2:3:4:5:6:7::]",
    ),
    "two colons for one group in the middle": Sender(
        "RFC 5321 4.1.3",
        "<a@[IPv6:1:2:3::5:6:7:8]>",
        "250",
        "501",
        "a@[IPv6:1:2:3::5:6:7:8]",
    ),
    "two colons for one group and an IPv4 address": Sender(
        "RFC 5321 4.1.3",
        "<a@[IPv6:1:2:3:4:5::192.0.2.1]>",
        "250",
        "501",
        "a@[IPv6:1:2:3:4:5::192.0.2.1]",
    ),
    "two colons for two groups": Sender(
        "RFC 5321 4.1.3",
        "<a@[IPv6:1:2:3:4:5:6::]>",
        "250",
        "250",
        "a@[IPv6:1:2:3:4:5:6::]",
    ),
    "two colons for two groups and an IPv4 address": Sender(
        "RFC 5321 4.1.3",
        "<a@[IPv6:1:2:3:4::192.0.2.1]>",
        "250",
        "250",
        "a@[IPv6:1:2:3:4::192.0.2.1]",
    ),
    "two dots in the domain": Sender(A_D_L, "<a@client..example>", "501", "501"),
    "two dots at the end of the domain": Sender(A_D_L, "<a@client.example..>", "501", "501"),
    "a dot in front of the domain": Sender(A_D_L, "<a@.client.example>", "501", "501"),
    "a domain of one dot": Sender(A_D_L, "<a@.>", "501", "501"),
    "a label of 64 octets": Sender("RFC 5321 2.3.5", f"<a@{'b' * 64}.example>", "501", "501"),
    "a dot behind a literal": Sender("RFC 5321 4.1.3", "<a@[192.0.2.1].>", "501", "501"),
    "a tab after the colon": Sender(COLON, "\t<a@client.example>", "50", "50"),
    "a blank in front of the colon": Sender(COLON, "", "501", "501"),
    "blanks in the brackets": Sender(A_D_L, "< a@client.example >", "501", "501"),
    "one bracket and a blank": Sender(COLON, " <a@client.example", "501", "501"),
}
RECIPIENTS = {
    "a blank after the colon": (" <b@example.com>", "250", "501"),
    "no brackets": ("b@example.com", "250", "501"),
    "a blank and postmaster": (" <postmaster>", "250", "501"),
    "postmaster without brackets": ("postmaster", "501", "501"),
    "two dots in the local part": ("<a..b@example.com>", "250", "501"),
    "a dot at the end of the domain": ("<b@example.com.>", "250", "501"),
    "an underscore in the domain": ("<b@my_host.example>", "550", "501"),
    "two dots at the end of the domain": ("<b@example.com..>", "501", "501"),
    "the null path after a blank": (" <>", "501", "501"),
}


def sender_rows(name, case):
    line = f"MAIL FROM:{case.argument}" if case.argument else "MAIL FROM :<a@client.example>"
    if case.default == "250":
        steps = [
            (line, "250"),
            ("RCPT TO:<b@example.com>", "250"),
            ("DATA", "354"),
            (b".\r\n", "250"),
        ]
        yield Row(f"MAIL, {name}", case.section, steps, senders=[case.recorded], reason=RULE)
    else:
        yield one(f"MAIL, {name}", case.section, line, case.default)
    yield one(f"MAIL, {name}, {STRICT}", case.section, line, case.strict, server=STRICT)


def recipient_rows(name, argument, default, strict):
    line = f"RCPT TO:{argument}"
    reason = RULE if default != strict else ""
    yield one(f"RCPT, {name}", COLON, line, default, after=MAIL, reason=reason)
    yield one(f"RCPT, {name}, {STRICT}", COLON, line, strict, after=MAIL, server=STRICT)


ROWS = [
    *(row for name, case in SENDERS.items() for row in sender_rows(name, case)),
    *(row for name, case in RECIPIENTS.items() for row in recipient_rows(name, *case)),
    Row(
        "a final dot is not part of the recipient",
        "RFC 5321 2.3.5",
        [("RCPT TO:<b@example.com.>", "250"), ("DATA", "354"), (b".\r\n", "250")],
        MAIL,
        recipients=["b@example.com"],
    ),
]
