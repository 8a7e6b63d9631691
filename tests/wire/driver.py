"""Plays input to a server and returns its events and output, with the input cut in any way."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from gatepost.model.additions import Additions, Verb
from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.protocol import NEED_DATA, PAUSED, Wire
from gatepost.wire.smtp import SmtpServer, State, WireLimits

OK = Reply(250, "ok", "2.0.0")
GREETING = Reply(220, "gate.example ESMTP")
GO_AHEAD = Reply(354, "go ahead")
BYE = Reply(221, "bye", "2.0.0", close=True)
DEFERRED = Reply(451, "later", "4.7.1")
DENIED = Reply(550, "no", "5.7.1")

Answerer = Callable[[e.Event], Reply]
Split = Callable[[bytes], Iterable[bytes]]

_USUAL: dict[type[e.Event], Reply] = {
    e.Connected: GREETING,
    e.Data: GO_AHEAD,
    e.Bdat: GO_AHEAD,
    e.Quit: BYE,
}


def usual(event: e.Event) -> Reply:
    """Accept every event; answer a fault with its own reply."""
    if isinstance(event, e.Fault | e.MessageFault | e.ChunkRefused):
        return event.reply
    return _USUAL.get(type(event), OK)


def but(replies: dict[type[e.Event], Reply]) -> Answerer:
    """Return an answerer like `usual`, with other replies for these kinds of events."""
    return lambda event: replies.get(type(event)) or usual(event)


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def at_line_ends(data: bytes) -> list[bytes]:
    """Cut before and after every CR and LF."""
    return re.findall(rb"[^\r\n]+|\r|\n", data)


SPLITS: list[Split] = [whole, bytewise, at_line_ends]


class Played(NamedTuple):
    """The events (content joined, `Connected` left out), the bytes sent after the greeting."""

    events: list[e.Event]
    output: bytes
    server: SmtpServer
    most_unread: int

    @property
    def replies(self) -> list[str]:
        """Return the reply lines as text."""
        return self.output.decode("ascii").splitlines()

    @property
    def state(self) -> State:
        return self.server.state

    @property
    def closed(self) -> bool:
        return self.server.closed

    def of(self, kind: type[e.Event]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


def play(
    data: bytes,
    split: Split = whole,
    answer: Answerer = usual,
    limits: WireLimits | None = None,
    make: Callable[..., SmtpServer] = SmtpServer,
    **options: Any,
) -> Played:
    """Feed a new server and drain it after every piece."""
    server = make(limits or WireLimits(), **options)
    events: list[e.Event] = []
    output: list[bytes] = []
    most_unread = 0
    for piece in (b"", *split(data)):
        if server.closed:
            break
        server.receive_data(piece)
        for event in drain(server):
            events.append(event)
            if type(event) is not e.Content:
                output.append(server.send(answer(event)))
        if not server.closed:
            most_unread = max(most_unread, server.unread)
    return Played(tidy(events[1:]), b"".join(output[1:]), server, most_unread)


ADDITIONS = Additions(
    {"XSTATUS": Verb(junk=False), "XIDLE": Verb(), "XONE": Verb(max_arguments=1)}
    | {"XNONE": Verb(max_arguments=0)},
    frozenset({"XFOO"}),
    frozenset({"XBAR"}),
)


def extended(*args: Any, kind: type[SmtpServer] = SmtpServer, **options: Any) -> SmtpServer:
    """Return a server with additions of plugins; a compiled class has no subclass here."""
    server = kind(*args, **options)
    server.agreed.additions = ADDITIONS
    return server


def drain(server: Wire) -> Iterator[e.Event]:
    """Yield events until there are no more; the caller answers them."""
    while True:
        event = server.next_event()
        if event is NEED_DATA or event is PAUSED:
            return
        assert isinstance(event, e.Event)
        yield event


def tidy(events: list[e.Event]) -> list[e.Event]:
    """Join adjacent content; drop content in front of a fault: its amount is unspecified."""
    result: list[e.Event] = []
    for event in events:
        if result and type(result[-1]) is e.Content:
            if type(event) is e.Content:
                event = e.Content(result.pop().data + event.data)  # type: ignore[attr-defined]  # noqa: PLW2901
            elif type(event) is e.MessageFault:
                result.pop()
        result.append(event)
    return result


HELLO = b"EHLO client.example\r\n"
MAIL = HELLO + b"MAIL FROM:<a@client.example>\r\n"
RCPT = MAIL + b"RCPT TO:<b@gate.example>\r\n"
DATA = RCPT + b"DATA\r\n"
