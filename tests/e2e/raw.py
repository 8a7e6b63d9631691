"""A client that says whatever it is told to, octet by octet if need be."""

import select
import socket
import struct

from tests.e2e.server import PATIENCE
from tests.net import authority

SMUGGLER = "evil@client.example"  # the reverse-path of what is smuggled


class Raw:
    """One connection, greeted; use it as a context manager."""

    def __init__(self, port, hello="EHLO client.example", tls="none"):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls == "implicit":
            self.encrypt()
        self._lines = self._socket.makefile("rb")
        assert self.reply() == "220 mx.example.com ESMTP Gatepost"
        if tls == "starttls":
            assert codes(self.say("EHLO clear.example")) == ["250"]
            assert codes(self.say("STARTTLS")) == ["220"]
            self.encrypt()
        self.greeting = self.say(hello)[0] if hello else ""

    def encrypt(self):
        """Do the handshake."""
        context = authority.client_context()
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._lines = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._lines.close()
        self._socket.close()

    def reset(self):
        """Break the connection off, so that the server hears of it at once."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.__exit__()

    def send(self, *pieces):
        """Send each piece in a segment of its own."""
        for piece in pieces:
            self._socket.sendall(piece)

    def reply(self):
        """Return the next reply, all its lines; "" when the server has closed."""
        lines = [self._line()]
        while lines[-1][3:4] == "-":
            lines.append(self._line())
        return "\n".join(lines)

    def _line(self):
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            return ""
        assert line.endswith(b"\r\n"), line
        return line[:-2].decode()

    def has_reply(self):
        """Return whether the server has said something that was not read yet."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def say(self, *commands):
        """Send commands in one segment and return their replies."""
        self.send("".join(f"{command}\r\n" for command in commands).encode())
        return [self.reply() for _ in commands]

    def rest(self):
        """Return all replies up to the end of the connection."""
        return list(iter(self.reply, ""))


def envelope(*recipients, sender="sender@client.example"):
    """Return the commands that begin a transaction."""
    return [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)]


def second_message(box):
    """Return the commands and content that are to be smuggled in a message."""
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
    """Return content as it is sent after DATA, its end included."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def codes(replies):
    return [reply[:3] for reply in replies]
