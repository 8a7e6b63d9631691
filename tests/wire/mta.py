"""The mail server's side of the milter protocol: packets to send, responses to read."""

import struct
from collections.abc import Callable, Iterator

from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.milter import MilterServer, Needs
from gatepost.wire.milter.events import Reported
from gatepost.wire.protocol import PAUSED, Signal

Answerer = Callable[[e.Event], Reply]

OK = Reply(250, "Ok", "2.0.0")
DENIED = Reply(554, "no", "5.7.1")
ALL = 0x1FF
STEPS = 0x1FFFFF
SIZE = 10_000


def packet(command: str, data: bytes = b"") -> bytes:
    return struct.pack("!I", len(data) + 1) + command.encode() + data


def strings(*texts: str) -> bytes:
    return b"".join(one.encode() + b"\0" for one in texts)


def offer(version: int = 6, actions: int = ALL, steps: int = STEPS) -> bytes:
    return packet("O", struct.pack("!III", version, actions, steps))


def macros(command: str, **values: str) -> bytes:
    pairs = ((f"{{{name}}}" if len(name) > 1 else name, value) for name, value in values.items())
    return packet("D", command.encode() + strings(*(text for pair in pairs for text in pair)))


def connect(
    address: str = "192.0.2.1", port: int = 25, name: str = "mx.example", family: str = "4"
) -> bytes:
    return packet("C", strings(name) + family.encode() + struct.pack("!H", port) + strings(address))


def helo(name: str = "client.example") -> bytes:
    return packet("H", strings(name))


def mail(path: str = "<a@client.example>", *params: str) -> bytes:
    return packet("M", strings(path, *params))


def rcpt(path: str = "<b@example.com>", *params: str) -> bytes:
    return packet("R", strings(path, *params))


def field(name: str, value: str) -> bytes:
    return packet("L", strings(name, value))


DATA, END_OF_FIELDS = packet("T"), packet("N")
END, ABORT, QUIT, REUSE = packet("E"), packet("A"), packet("Q"), packet("K")


def body(octets: bytes) -> bytes:
    return packet("B", octets)


OPEN = offer() + connect() + helo()
ENVELOPE = OPEN + mail() + rcpt()


def message(*fields: tuple[str, str], text: bytes = b"text\r\n") -> bytes:
    heads = b"".join(field(*one) for one in fields)
    return DATA + heads + END_OF_FIELDS + body(text) + END


def responses(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the responses of a filter: the code and the data."""
    while octets:
        (size,) = struct.unpack("!I", octets[:4])
        assert 1 <= size <= len(octets) - 4
        yield octets[4:5].decode(), octets[5 : 4 + size]
        octets = octets[4 + size :]


def plain(event: e.Event) -> e.Event:
    """Return an event of SMTP without its macros."""
    return event.event if isinstance(event, Reported) else event


def usual(event: e.Event) -> Reply:
    inner = plain(event)
    return inner.reply if isinstance(inner, e.Fault | e.MessageFault) else OK


def but(replies: dict[type[e.Event], Reply]) -> Answerer:
    """Return an answerer like `usual`, with other replies for these kinds of events."""
    return lambda event: replies.get(type(plain(event))) or usual(event)


class Talk:
    """One connection: `play` sends octets; events and responses are kept."""

    def __init__(
        self, needs: Needs | None = None, answer: Answerer = usual, size: int = SIZE
    ) -> None:
        self.wire = MilterServer(size, needs or Needs())
        self.answer = answer
        self.events: list[e.Event] = []
        self.sent = b""

    def play(self, *pieces: bytes) -> "Talk":
        for piece in pieces:
            self.wire.receive_data(piece)
            while not isinstance(event := self.wire.next_event(), Signal):
                self.events.append(event)
                if not isinstance(event, e.Content):
                    assert self.wire.next_event() is PAUSED
                    self.sent += self.wire.send(self.answer(event))
        return self

    @property
    def codes(self) -> str:
        """Return the codes of all responses after that to the offer."""
        return "".join(code for code, _ in responses(self.sent))[1:]

    @property
    def plain(self) -> list[e.Event]:
        """Return the events after the negotiation, without macros."""
        return [plain(one) for one in self.events[1:]]

    @property
    def content(self) -> bytes:
        return b"".join(getattr(one, "data", b"") for one in self.events)
