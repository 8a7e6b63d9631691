"""Mail servers that ask Gatepost about the envelope: the listener, and a client of the server."""

import re
import smtplib
from typing import Any, NamedTuple

LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\nprotocol = "policy"\n'
PORT = re.compile(r"\bpolicy=127\.0\.0\.1:(\d+)")
REFERENCE = re.compile(r" \[[0-9a-f.-]+\]$")
REFUSED = "554 5.7.1 Message refused by local policy"

MAIL = "MAIL FROM:<sender@client.example>"
ALICE, BOB = "RCPT TO:<alice@example.com>", "RCPT TO:<bob@example.com>"
UNKNOWN_TRAP = "RCPT TO:<trap@example.com>"
USER_TRAP = "RCPT TO:<trap@open.example>"
TRAP_ELSEWHERE = "RCPT TO:<trap@elsewhere.example>"
TEXT = b"Subject: x\r\n\r\ntext\r\n.\r\n"
CHUNK = b"BDAT 6 LAST\r\na: b\r\n"


def policy_port(server):
    return int(PORT.search((server.folder / "log").read_text())[1])


class Asking(NamedTuple):
    """A mail server that asks a Gatepost."""

    mail: Any
    gatepost: Any

    def send(self, *commands):
        """Return the replies to commands; `bytes` are sent as they are."""
        with smtplib.SMTP("127.0.0.1", self.mail.port, "client.example") as client:
            client.ehlo()
            return [self._reply(client, one) for one in commands]

    @staticmethod
    def _reply(client, command):
        if isinstance(command, bytes):
            client.send(command)
            code, text = client.getreply()
        else:
            code, text = client.docmd(command)
        return REFERENCE.sub("", f"{code} {text.decode()}")
