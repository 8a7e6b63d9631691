"""A client that sends any octets, in any pieces. Replies lack their references."""

import select
import socket
import struct

from tests.e2e.server import PATIENCE
from tests.net import authority
from tests.references import without_references

SMUGGLER = "evil@client.example"  # the sender of a smuggled message


class Raw:
    """One connection after the greeting; use it as a context manager."""

    def __init__(self, port, hello="EHLO client.example", tls="none"):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls == "implicit":
            self.encrypt()
        self._lines = self._socket.makefile("rb")
        assert self.reply() == "220 mx.example.com ESMTP Gatepost"
        if tls == "starttls":
            assert codes(self.exchange("EHLO clear.example")) == ["250"]
            assert codes(self.exchange("STARTTLS")) == ["220"]
            self.encrypt()
        self.greeting = self.exchange(hello)[0] if hello else ""

    def encrypt(self):
        """Start TLS."""
        context = authority.client_context()
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._lines = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._lines.close()
        self._socket.close()

    def reset(self):
        """Reset the connection, so that the server detects it at once."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.__exit__()

    def send(self, *pieces):
        """Send each piece in a separate segment."""
        for piece in pieces:
            self._socket.sendall(piece)

    def reply(self):
        """Return all lines of the next reply; "" if the server has closed."""
        lines = [self._line()]
        while lines[-1][3:4] == "-":
            lines.append(self._line())
        return "\n".join(lines)

    def _line(self):
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            return ""
        assert line.endswith(b"\r\n"), line
        return without_references(line[:-2].decode())

    def has_reply(self):
        """Return whether the server has sent something that was not read yet."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def exchange(self, *commands):
        """Send commands in one segment and return their replies."""
        self.send("".join(f"{command}\r\n" for command in commands).encode())
        return [self.reply() for _ in commands]

    def rest(self):
        """Return all replies up to the end of the connection."""
        return list(iter(self.reply, ""))


def envelope(*recipients, sender="sender@client.example"):
    """Return the commands that start a transaction."""
    return [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)]


def second_message(box):
    """Return the commands and content to smuggle in a message."""
    lines = [
        *envelope(box, sender=SMUGGLER),
        "DATA",
        "Subject: SMUGGLED",
        "",
        "x",
        ".",
    ]
    return b"".join(line.encode() + b"\r\n" for line in lines)


def stuffed(content):
    """Return content as it is sent after DATA, including its end."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def codes(replies):
    return [reply[:3] for reply in replies]
