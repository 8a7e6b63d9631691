"""Recipients with which open relays are found: the forms of nmap and forms with a local domain.

Each form is sent after different senders. Not one may be accepted (RFC 5321 section 3.6).
"""

from tests.differential.row import ANY_CUT, READY, one
from tests.vectors import LOCAL_RELAY, NMAP_RELAY

SERVER = "usual"
CUTS = ANY_CUT

SENDERS = {
    "the null path": "",
    "a sender of another server": "a@client.example",
    "a sender of this server": "b@example.com",
    "postmaster of this server": "postmaster@example.com",
    "a sender at the address of this server": "b@[192.0.2.25]",
}
# Forms in which the host, its address or a local domain hides another one.
HIDDEN = [
    b"<c@elsewhere.example@example.com>",
    b"<c@elsewhere.example%example.com>",
    b"<example.com!c@elsewhere.example>",
    b"<c%elsewhere.example%example.com@example.com>",
    b'<"c%elsewhere.example"@example.com>',
    b'<"elsewhere.example!c"@example.com>',
    b'<"c@elsewhere.example">',
    b"<@example.com,@elsewhere.example:c@elsewhere.example>",
    b"<c@elsewhere.example,b@example.com>",
    b"<b@example.com@>",
    b"<c@[198.51.100.7]>",
    b"<c@[IPv6:2001:db8::7]>",
    b"<c@[198.51.100.7]@example.com>",
    b"<c@elsewhere.example(b@example.com)>",
    b"c@elsewhere.example <b@example.com>",
]

ROWS = [
    one(
        f"{form.decode()} after {name}",
        "RFC 5321 3.6",
        b"RCPT TO:" + form + b"\r\n",
        "5",
        after=(*READY, (f"MAIL FROM:<{sender}>", "250")),
    )
    for form in (*NMAP_RELAY, *LOCAL_RELAY, *HIDDEN)
    for name, sender in SENDERS.items()
]
