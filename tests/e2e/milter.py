"""Gatepost as the milter of a real Postfix, each in a folder and on ports of its own."""

import contextlib
import re
import smtplib

from tests.docs.pages import blocks
from tests.e2e.server import Server
from tools import postfix

READY = re.compile(r" milter=127\.0\.0\.1:(\d+)")
LISTEN = '[[listen]]\nname = "postfix"\nprotocol = "milter"\naddress = "127.0.0.1:0"\n'
# The mailboxes of Postfix; `hidden-page` is a trap that it delivers to.
USERS = ("alice", "bob", "carol", "dave", "hidden-page")
TRAPS = ("hidden-page@example.com", "old-page@example.com", "page@elsewhere.example")


def documented(port):
    """Return the parameters of docs/milter.md, with this port."""
    [lines] = blocks("milter", "ini")
    pairs = (line.split(" = ") for line in lines.splitlines() if not line.startswith("#"))
    return {name: value.replace("8891", str(port)) for name, value in pairs}


def port_of(gate):
    """Return the port of the milter listener."""
    return int(READY.search((gate.folder / "log").read_text())[1])


def mailboxes(users=USERS):
    found = ", ".join(f"{{ {user}@example.com = all/ }}" for user in users)
    return f"inline:{{ {found} }}"


@contextlib.contextmanager
def filtered(folder, *plugins, extra="", main=None, gate=None):
    """Run Gatepost with these plugins, and Postfix in front of it; yield both.

    `plugins` are their code by the name of the file.
    """
    listed = ""
    for number, code in enumerate(plugins):
        (folder / f"plugin{number}.py").write_text(code)
        listed += f'[[plugin]]\nuse = "plugin{number}.py"\n'
    gate = gate or Server(folder, LISTEN + listed + extra, traps=TRAPS)
    try:
        parameters = {
            **documented(port_of(gate)),
            "virtual_mailbox_maps": mailboxes(),
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            **(main or {}),
        }
        with postfix.running(parameters) as mail:
            yield gate, mail
        gate.stop()
    finally:
        gate.kill()


class Client(smtplib.SMTP):
    """A client of Postfix that returns replies as text, without references."""

    def exchange(self, *lines):
        """Send commands; return the replies."""
        return [self._plain(*self.docmd(line)) for line in lines]

    def content(self, text):
        """Send the message after DATA; return the reply to its end."""
        self.send(text.replace("\n", "\r\n").encode("latin-1") + b"\r\n.\r\n")
        return self._plain(*self.getreply())

    def envelope(self, *recipients, sender="a@client.example"):
        return self.exchange(f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients))

    @staticmethod
    def _plain(code, text):
        return re.sub(r" \[[0-9a-f]+-[0-9a-f]+(?:\.\d+)?\]", "", f"{code} {text.decode()}")


@contextlib.contextmanager
def connected(mail, helo="client.example"):
    client = Client("127.0.0.1", mail.port, timeout=30)
    try:
        client.ehlo(helo)
        yield client
    finally:
        client.close()
