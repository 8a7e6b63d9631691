"""A client and a server connected by bytes only: both must agree on the state."""

from tests.wire.driver import GREETING, drain, usual, whole

from gatepost.wire import events as e
from gatepost.wire.lmtp import LmtpServer
from gatepost.wire.smtp import NEED_DATA, SmtpServer, WireLimits
from gatepost.wire.smtp.sending.client import LmtpClient, SmtpClient

KEYWORDS = "gate.example\nPIPELINING\nSIZE 1000\n8BITMIME\nSMTPUTF8\nCHUNKING"


class Pair:
    """A connected pair. `answer` is the policy of the server.

    `events` are those of the server, `answers` those that the client received.
    """

    def __init__(self, protocol="smtp", answer=usual, split=whole):
        make = {"smtp": (SmtpClient, SmtpServer), "lmtp": (LmtpClient, LmtpServer)}[protocol]
        extensions = frozenset(
            {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "STARTTLS", "XCLIENT", "DSN"}
        )
        self.client = make[0]()
        self.server = make[1](WireLimits(), extensions=extensions)
        self._answer = answer
        self._split = split
        self.events = []
        self.answers = []
        self._exchange(b"")

    def send(self, *commands):
        """Send commands in one piece; return the new answers."""
        before = len(self.answers)
        self._exchange(b"".join(self.client.send(command) for command in commands))
        return self.answers[before:]

    def _exchange(self, data):
        output = b""
        for piece in self._split(data) if data else [b""]:
            self.server.receive_data(piece)
            for event in drain(self.server):
                self.events.append(event)
                if type(event) is not e.Content:
                    output += self.server.send(self._reply(event))
        for piece in self._split(output):
            self.client.receive_data(piece)
            while (answer := self.client.next_event()) is not NEED_DATA:
                self.answers.append(answer)

    def _reply(self, event):
        return GREETING if type(event) is e.Connected else self._answer(event)

    @property
    def content(self):
        """The content that the server received."""
        return b"".join(event.data for event in self.events if type(event) is e.Content)

    def assert_agreement(self):
        """Assert that both sides are in the same state."""
        assert self.client.owed == 0
        assert self.client.state == self.server.state
        assert self.server.unread == 0
