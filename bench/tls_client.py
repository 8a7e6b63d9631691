"""Send mail with TLS: `python -m bench.tls_client PORT MODE CONNECTIONS MESSAGES`.

MODE is "starttls" or "implicit". Each connection carries MESSAGES messages of 4 KB, or none. Every
handshake is a full one: no session is resumed. Exits 1 at the first unexpected reply. The cost of
this client is not measured, so it is simple.
"""

from __future__ import annotations

import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTP, SMTP_SSL

HOST, NAME = "127.0.0.1", "client.example"
SENDER, RECIPIENT = "sender@client.example", "user@bench.example"
AT_ONCE = 4
TIMEOUT = 30.0
MESSAGE = b"Subject: bench\r\n\r\n" + (b"x" * 70 + b"\r\n") * 57  # 4 KB


def context() -> ssl.SSLContext:
    """Return a client context that accepts every certificate."""
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def connect(port: int, mode: str, trust: ssl.SSLContext) -> SMTP:
    """Connect and complete the handshake."""
    if mode == "implicit":
        return SMTP_SSL(HOST, port, NAME, timeout=TIMEOUT, context=trust)
    client = SMTP(HOST, port, NAME, TIMEOUT)
    client.starttls(context=trust)
    return client


def visit(port: int, mode: str, messages: int, trust: ssl.SSLContext) -> None:
    """Send all messages of one connection."""
    with connect(port, mode, trust) as client:
        for _ in range(messages):
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)


def main(port: str, mode: str, connections: str, messages: str) -> None:
    """Run all connections, AT_ONCE concurrently."""
    trust = context()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        visits = [
            pool.submit(visit, int(port), mode, int(messages), trust)
            for _ in range(int(connections))
        ]
        for each in visits:
            each.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
