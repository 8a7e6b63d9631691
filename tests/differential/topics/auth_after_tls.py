"""AUTH on a server that requires TLS first (RFC 4954 section 4)."""

from tests.differential.row import IN_STEPS, READY, START, TLS, Row, one
from tests.differential.topics.auth import RIGHT

SERVER = "auth after tls"
CUTS = IN_STEPS

TO_TLS = [("STARTTLS", "220"), (TLS, "")]
GREETED = (*READY, *TO_TLS, ("EHLO client.example", "250"))

ROWS = [
    one("AUTH in cleartext", "RFC 4954 6", f"AUTH PLAIN {RIGHT}", "538"),
    one("AUTH without arguments in cleartext", "RFC 4954 6", "AUTH", "538"),
    one("AUTH in cleartext before EHLO", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "503", after=START),
    one("AUTH= in cleartext", "RFC 4954 5", "MAIL FROM:<> AUTH=<>", "555"),
    one("AUTH in TLS", "RFC 4954 4", f"AUTH PLAIN {RIGHT}", "235", after=GREETED),
    Row(
        "AUTH in TLS before EHLO",
        "RFC 3207 4.2",
        [(f"AUTH PLAIN {RIGHT}", "503")],
        (*READY, *TO_TLS),
    ),
    Row(
        "STARTTLS after AUTH in TLS",
        "RFC 4954 4",
        [(f"AUTH PLAIN {RIGHT}", "235"), ("STARTTLS", "503")],
        GREETED,
    ),
    Row(
        "AUTH refused in cleartext is possible in TLS",
        "RFC 4954 4",
        [
            (f"AUTH PLAIN {RIGHT}", "538"),
            *TO_TLS,
            ("EHLO client.example", "250"),
            (f"AUTH PLAIN {RIGHT}", "235"),
        ],
    ),
]
