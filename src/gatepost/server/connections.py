"""All connections of one process: admission, the periodic check of deadlines, the drain."""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from gatepost.auth.auth_limiter import AuthLimiter
from gatepost.config.schema import SmtpConfig
from gatepost.counts.memory import Slot
from gatepost.log.logger import get_logger
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.net.inline import UNFINISHED, finish, first_step
from gatepost.net.networks import Networks, is_within
from gatepost.net.turns import Turns
from gatepost.server.file_supply import FileSupply
from gatepost.server.limits import ConnectionLimiter, Origin, packed
from gatepost.server.pump import Pump
from gatepost.session import replies as r
from gatepost.session.conversation import Conversation
from gatepost.session.policy.visits import Visits
from gatepost.session.setup import Setup
from gatepost.wire.smtp.server import WireLimits
from gatepost.wire.smtp.syntax.path import LENIENT, strict_paths

# How often deadlines are checked, in seconds.
SWEEP = 1.0
# How much content the sweep may move from memory to files, in octets: some 10 ms.
MOVED = 16 * 1024 * 1024
_SIZE = attrgetter("size")

_SMTP = SmtpConfig()

_log = get_logger("gatepost.server")


class Activity(NamedTuple):
    """The work of a connection.

    `state` is "closing", "tls" in a handshake, "content" while the client sends a message, "" if
    its session shows the state. `since` is when it was last answered, in the event loop's time.
    Octets are without TLS.
    """

    state: str
    since: float
    received: int
    sent: int


class Pending(Protocol):
    """A connection that must send a PROXY header first."""

    def sweep(self, now: float) -> None:
        """Close if the header is late."""

    def abort(self) -> None:
        """Close at once."""


class Member(Protocol):
    """A connection with a session."""

    peer: Endpoint
    origin: Origin | None
    pump: Pump

    @property
    def talk(self) -> Conversation:
        """Return the state of the session."""

    @property
    def idle(self) -> bool:
        """Return whether no transaction is open and no command is being handled."""

    @property
    def receiving(self) -> bool:
        """Return whether content is arriving and no command is being handled."""

    @property
    def activity(self) -> Activity:
        """Return what the connection does."""

    def sweep(self, now: float) -> None:
        """Close if a deadline has passed."""

    def shut_down(self) -> None:
        """Send a last reply, because the server stops, and close."""

    def end(self, limit: str, reply: Reply) -> None:
        """Send a last reply if the protocol has one, and close; record it as `limit`.

        A command that is being handled is cancelled. Do not call it while `talk.delivering`.
        """

    def abort(self) -> None:
        """Close at once."""


class Connections:
    """Connections and what they share; `pending` are those that must send a PROXY header first.

    `visits` are the transactions that mail servers ask about. `now` is the event loop's time, at
    most SWEEP seconds old: precise enough for time-outs, and cheap to read. `slot` is where
    connections are counted, None if no other worker shares the counts.
    """

    def __init__(self, setup: Setup, smtp: SmtpConfig = _SMTP, *, slot: Slot | None = None) -> None:
        limits = setup.limits
        self.setup = setup
        self.wire_limits = WireLimits(
            limits.command_line,
            limits.message_size,
            synchronised=smtp.unauthorised_pipelining == "refuse",
        )
        self.paths = strict_paths() if smtp.strict_paths else LENIENT
        self.bare_lf_from = smtp.bare_lf_from
        self.relay_networks = setup.router.relay_networks
        self.greeting_delay = smtp.greeting_delay
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()
        self.turns = Turns(self.loop)
        self.draining = False
        self.members: set[Member] = set()
        self.pending: set[Pending] = set()
        slot = slot or Slot.standalone()
        self._limiter = ConnectionLimiter(limits, slot)
        self.auth_limiter = AuthLimiter(limits, slot, self._limiter.origin, setup.clock.time)
        self._files = FileSupply()
        self._refused = 0
        self._refused_last = ("", "")
        self._tasks: set[asyncio.Future[None]] = set()
        self._empty = asyncio.Event()
        self.visits = Visits(setup, self.relay_networks, self.next_id, self.run_to_end)
        self._prefix = f"{os.urandom(4).hex()}-"
        self._sessions = 0
        self._lag = 0.0
        self._sweeper = self.loop.call_later(SWEEP, self._sweep)

    def next_id(self) -> str:
        """Return a session id that no other session has."""
        self._sessions += 1
        return self._prefix + hex(self._sessions)[2:]  # noqa: FURB116 - a format takes ten times as long

    def admit(self, connection: Member) -> Reply | None:
        """Add a connection; return the refusal if there are too many."""
        self.members.add(connection)
        trusted = connection.talk.admission is not None
        origin = None if trusted else self._limiter.origin(connection.peer.host)
        connection.origin = origin
        exceeded = "" if origin is None else self._limiter.enter(origin, self.now)
        ref = connection.talk.session.id
        if self.draining:
            return self._refuse(ref, connection.peer, "shutdown", r.SHUTTING_DOWN)
        if len(self.members) > self.setup.limits.connections:
            exceeded = "connections"
        return self._exceed(ref, connection.peer, exceeded) if exceeded else None

    def admit_mta(self, connection: Member, networks: Networks) -> Reply | None:
        """Add a connection of a mail server that asks; return the refusal if it may not.

        Its address is not counted, because it brings many clients. Security: the mail server
        reports what the client has done, and is believed. So it must be in one of the networks, or
        have no IP address: access to a Unix socket is controlled by the permissions of its file.
        """
        self.members.add(connection)
        peer = connection.peer
        if packed(peer.host) is not None and not is_within(peer.host, networks):
            return self._exceed(self.next_id(), peer, "accept_from")
        if self.draining:
            return self._refuse(self.next_id(), peer, "shutdown", r.SHUTTING_DOWN)
        if len(self.members) > self.setup.limits.connections:
            return self._exceed(self.next_id(), peer, "connections")
        return None

    def _exceed(self, ref: str, peer: Endpoint, limit: str) -> Reply:
        self._refused += 1
        self._refused_last = (str(peer), limit)
        return self._refuse(ref, peer, limit, r.TOO_MANY_CONNECTIONS)

    def _refuse(self, ref: str, peer: Endpoint, limit: str, reply: Reply) -> Reply:
        reply = reply.with_reference(ref)
        self.setup.recorder.connection_refused(ref, peer, limit, reply)
        return reply

    def expect(self, connection: Pending, peer: Endpoint) -> Reply | None:
        """Add a connection that must send a PROXY header; return the refusal if there are too many.

        Its address is not counted: it is a proxy's, which brings many clients.
        """
        if len(self.members) + len(self.pending) >= self.setup.limits.connections:
            return self._exceed(self.next_id(), peer, "connections")
        self.pending.add(connection)
        return None

    def readmit(self, connection: Member, peer: Endpoint) -> Reply | None:
        """Count a connection as another client's; return the refusal if there are too many."""
        if self.draining:
            return self._refuse(connection.talk.session.id, peer, "shutdown", r.SHUTTING_DOWN)
        self.release(connection)
        connection.peer = peer
        return self.admit(connection)

    def release(self, connection: Member) -> None:
        """Remove a connection."""
        self.members.discard(connection)
        origin = connection.origin
        if origin is not None:
            self._limiter.leave(origin)
            connection.origin = None
        if not self.members:
            self._empty.set()

    def run_to_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that no connection waits for; `drain` waits for it."""
        if first_step(work) is UNFINISHED:
            task = asyncio.ensure_future(finish(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _sweep(self) -> None:
        due = self._sweeper.when()
        self._sweeper = self.loop.call_later(SWEEP, self._sweep)
        self.now = self.loop.time()
        self._lag = max(self._lag, self.now - due)
        self.turns.count += 1
        for connection in tuple(self.members):
            connection.sweep(self.now)
        for pending in tuple(self.pending):
            pending.sweep(self.now)
        self.visits.sweep(self.now)
        self._files.check()
        self._report_refused()
        self._measure()

    def _measure(self) -> None:
        """Check whether there is room for more content.

        The sum is recomputed once a second, so no message pays for the accounting. Until the next
        check a worker can take no more than its connections send.
        """
        memory = files = 0
        for connection in self.members:
            message = connection.talk.message
            if message is not None:
                held = message.octets_held()
                memory, files = memory + held[0], files + held[1]
        limits, full = self.setup.limits, self.setup.storage_full
        if memory > limits.content_memory and files <= limits.content_files:
            moved = self._free_memory(memory - limits.content_memory)
            memory, files = memory - moved, files + moved
        self.setup.storage_full = memory > limits.content_memory or files > limits.content_files
        if self.setup.storage_full and not full:
            _log.warning("content storage full", memory=memory, files=files)

    def _free_memory(self, excess: int) -> int:
        """Move the largest messages to files; return the number of octets moved.

        Clients can keep many messages open without sending anything: these must not keep other
        clients out. At most MOVED octets are moved in a second, because the event loop waits.
        """
        held = [one.talk.message for one in self.members if one.receiving]
        messages = [one for one in held if one is not None and not one.in_file]
        moved = 0
        for message in sorted(messages, key=_SIZE, reverse=True):
            if moved >= min(excess, MOVED):
                break
            try:
                message.move_to_file()
            except OSError as error:
                _log.error("storage failed", error=str(error))
                break
            moved += message.size
        return moved

    def _report_refused(self) -> None:
        """Log the connections refused since the last check: one line, however many there were."""
        if self._refused:
            last, limit = self._refused_last
            _log.warning("connections refused", count=self._refused, last=last, limit=limit)
            self._refused = 0

    def take_lag(self) -> float:
        """Return the longest delay of the event loop since the last call, in seconds."""
        lag, self._lag = self._lag, 0.0
        return lag

    @property
    def lag(self) -> float:
        """The longest delay since the last call of `take_lag`, in seconds."""
        return self._lag

    def by_listener(self) -> Counter[str]:
        """Return the number of sessions by the name of their listener."""
        return Counter([one.talk.session.listener for one in self.members])

    async def emptied(self, seconds: float) -> None:
        """Wait until there is no connection, or `seconds`."""
        if self.members:
            self._empty.clear()
            await _wait(self._empty, seconds)

    async def drain(self, seconds: float) -> None:
        """End all sessions: idle ones now, others after their message or `seconds`."""
        self.draining = True
        for pending in tuple(self.pending):
            pending.abort()
        for connection in tuple(self.members):
            if connection.idle:
                connection.shut_down()
        await self.emptied(seconds)
        for connection in tuple(self.members):
            connection.abort()
        self.visits.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        self._sweeper.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
