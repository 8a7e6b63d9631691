"""A wire, a handler and a transport: events to the handler, replies to the client, in fair turns.

Theory of operation
-------------------
`run` takes events from the wire as long as there are any, and runs the handler's coroutine for each
in place. All replies leave in one write. If a coroutine has to wait it goes on in a task, and the
pump rests until it is done.

The client cannot make one turn long: it ends after TURN octets, where each command counts as
COMMAND_COST, and the pump queues for its next one (`gatepost.net.turns`). The client cannot make
the buffer large either: while the pump rests, reading stops once MAX_UNREAD octets wait, and goes
on only when fewer do. One read may bring up to 256 KiB (uvloop's buffer) beyond that.

Nothing here is particular to SMTP: a protocol provides a `Wire`, an `Handler` and an `Owner`.
"""

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from gatepost.model.reply import Reply
from gatepost.net.inline import UNFINISHED, finish, first_step
from gatepost.net.turns import TURN, Turns
from gatepost.plugin.clock import Clock
from gatepost.session.handler import Handler
from gatepost.wire.events import Content
from gatepost.wire.protocol import PAUSED, Signal, Wire

# A full pipelined transaction is a few KB; a client need not be read further ahead than this.
MAX_UNREAD: Final = 64 * 1024
# The cost of a command, in octets of content: it takes about as long.
COMMAND_COST: Final = 512


class Owner(ABC):
    """The connection that a pump works for."""

    __slots__ = ()

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Write replies; close the connection if the last one does."""

    @abstractmethod
    def wire_paused(self) -> None:
        """Go on if the wire waits for something other than a reply, such as a TLS handshake."""

    @abstractmethod
    def drained(self) -> None:
        """Close: the client has sent its last octet and everything is answered."""

    @abstractmethod
    def finish(self) -> None:
        """Clean up: the connection is lost and no command is being handled any more."""


class _Gone(Owner):
    """Stands for an owner whose connection is lost and cleaned up."""

    __slots__ = ()

    def send(self, data: bytes) -> None:
        """Do nothing."""

    def wire_paused(self) -> None:
        """Do nothing."""

    def drained(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


_GONE: Final = _Gone()


class Pump:
    """Moves events and replies for one connection.

    `ended` is set by the owner when nothing more is to be handled, `lost` when the connection is
    gone, `writable` while the client reads its replies. `task` handles a command that waits, or
    waits for a delay, and `event` is the command, None in a delay.
    """

    __slots__ = (
        "_clock",
        "_counted",
        "_eof",
        "_handler",
        "_owner",
        "_queued",
        "_turns",
        "_wire",
        "ended",
        "event",
        "lost",
        "task",
        "transport",
        "writable",
    )

    transport: asyncio.Transport

    def __init__(
        self, wire: Wire, handler: Handler, owner: Owner, turns: Turns, clock: Clock
    ) -> None:
        self._wire = wire
        self._handler = handler
        self._counted = handler.counted
        self._owner = owner
        self._turns = turns
        self._clock = clock
        self.task: asyncio.Task[Any] | None = None
        self.event: Any = None
        self._queued = False
        self._eof = False
        self.writable = True
        self.ended = False
        self.lost = False

    @property
    def waiting(self) -> bool:
        """Return whether a command is being handled, or waits for a delay."""
        return self.task is not None

    @property
    def busy(self) -> bool:
        """Return whether a command is being handled, or the next turn is due."""
        return self.task is not None or self._queued

    def receive(self, data: bytes) -> None:
        """Take bytes from the client, in pieces that end a turn in time."""
        wire = self._wire
        if len(data) <= TURN:
            wire.receive_data(data)
        else:
            for start in range(0, len(data), TURN):
                wire.receive_data(data[start : start + TURN])
        if self.task is None and not self._queued and self.writable:
            if len(data) >= TURN and self._turns.waiting:
                self._queue()
            else:
                self.run()
        if self.task is not None or not self.writable:
            self._limit_reading()

    def _limit_reading(self) -> None:
        """Stop reading if much has come that has to wait."""
        if self._wire.unread > MAX_UNREAD:
            self.transport.pause_reading()

    def turn(self) -> int:
        """Take the turn that was queued for; return its cost."""
        self._queued = False
        if self.lost or self.ended or not self.writable or self.task is not None:
            return 0
        cost = self.run()
        self._go_on_reading()
        return cost

    def run(self) -> int:
        """Answer what the client has sent, up to the limit of a turn; return the cost."""
        wire, handler, counted = self._wire, self._handler, self._counted
        out, cost = [], 0
        while True:
            event = wire.next_event()
            if type(event) is Signal:
                break
            reply = self._handle(event)
            if self.task is not None:
                break
            if reply is not None:
                if reply.code >= 400 or type(event) in counted:
                    reply = handler.count(event, reply)
                    if reply.code >= 400 and self._is_delayed(reply):
                        break
                out.append(wire.send(reply))
                cost += COMMAND_COST
            else:
                cost += len(cast("Content", event).data) or TURN
            if cost >= TURN:
                self._queue()
                break
        self._turns.count += 1
        if out:
            self._owner.send(b"".join(out))
        if event is PAUSED:
            self._owner.wire_paused()
        return cost

    def _queue(self) -> None:
        """Let others have their turn; meanwhile nothing is read."""
        self._queued = True
        self.transport.pause_reading()
        self._turns.add(self)

    def _go_on_reading(self) -> None:
        """Read again if there is room, and close if nothing more will come."""
        if self.lost:
            return
        if not self._queued and self._wire.unread <= MAX_UNREAD:
            self.transport.resume_reading()
        if self._eof and not self.busy:
            self._owner.drained()

    def _handle(self, event: Any) -> Reply | None:
        """Handle an event in place; if it has to wait, `_task` goes on with it."""
        try:
            result = self._handler.handle(event)
            if result is None or isinstance(result, Reply):
                return result
            reply = first_step(result)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - must not end other sessions
            return self._handler.fail(event)
        if reply is not UNFINISHED:
            return cast("Reply | None", reply)
        self.event = event
        self._wait_for(finish(result), functools.partial(self._resume, event))
        return None

    def _wait_for(
        self, work: Coroutine[Any, Any, Any], then: Callable[[asyncio.Task[Any]], None]
    ) -> None:
        self.task = asyncio.get_running_loop().create_task(work)
        self.task.add_done_callback(then)

    def _resume(self, event: Any, task: asyncio.Task[Reply | None]) -> None:
        """Answer a command that had to wait."""
        self.task = self.event = None
        try:
            reply = task.result()
        except asyncio.CancelledError:
            reply = None if self.lost else self._handler.fail(event)
        except Exception:  # noqa: BLE001 - `fail` records it
            reply = self._handler.fail(event)
        if self.lost:
            self._owner.finish()
            return
        if reply is not None:
            reply = self._handler.count(event, reply)
            if reply.code >= 400 and self._is_delayed(reply):
                return
        self._go_on(reply)

    def _go_on(self, reply: Reply | None) -> None:
        """Send a reply, and handle what has come meanwhile."""
        if reply is not None and not self.ended:
            self._owner.send(self._wire.send(reply))
        if not self.ended and self.writable:
            self.run()
        self._go_on_reading()

    def _is_delayed(self, reply: Reply) -> bool:
        """Delay the reply if the client has made too many errors; return whether it is delayed."""
        delay = self._handler.error_delay
        if delay:
            self.rest(delay, functools.partial(self._go_on, reply))
        return bool(delay)

    def rest(self, seconds: float, then: Callable[[], None]) -> None:
        """Handle nothing for a while, then call `then`."""
        self._wait_for(self._clock.sleep(seconds), functools.partial(self._rested, then))

    def _rested(self, then: Callable[[], None], _task: "asyncio.Task[None]") -> None:
        self.task = None
        if self.lost:
            self._owner.finish()
        elif not self.ended:
            then()

    def eof(self) -> bool:
        """Note that the client sends no more; return whether there is still something to answer."""
        self._eof = True
        return self.busy

    def resume_writing(self) -> None:
        """Go on: the client reads its replies again."""
        self.writable = True
        if not (self.busy or self.lost or self.ended):
            self.run()
            self._go_on_reading()

    def lose(self, *, cancel: bool) -> None:
        """Note that the connection is gone; with `cancel`, end the command being handled."""
        self.lost = True
        if self.task is None:
            self._owner.finish()
        elif cancel:
            self.task.cancel()

    def release(self) -> None:
        """Drop the owner, which has cleaned up.

        Objects that refer to each other would be freed by the garbage collector only, which takes
        as long as the rest of the end of a connection.
        """
        self._owner = _GONE

    async def until_idle(self) -> bool:
        """Wait for the command or turn that is due; return whether there was one."""
        task, queued = self.task, self._queued
        if task is not None:
            await asyncio.wait({task})
        elif queued:
            await asyncio.sleep(0)
        return task is not None or queued
