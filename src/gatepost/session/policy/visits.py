"""The open transactions of all mail servers that ask, by the name that each server gives it.

Theory of operation
-------------------
A mail server asks about one transaction several times: for each recipient, and at DATA. Postfix
sends these requests over one connection, but opens another one when it is old or was idle. Exim
opens one for each request. So the transactions are kept for all connections of the process.

A transaction ends when its connection brings another one of the same mail server process, or IDLE
seconds after the last request. The next transaction of the same client, by address and port,
continues its session.

Limits: MOST transactions are kept; the one that was asked about longest ago makes room. `sweep` is
called about once a second and looks only at those that are due.
"""

from collections.abc import Callable, Coroutine
from itertools import takewhile
from typing import Any, Final, Protocol

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Session
from gatepost.net.networks import Networks, is_within
from gatepost.session.dialect import Dialect
from gatepost.session.engine import Engine
from gatepost.session.policy import request as facts
from gatepost.session.policy.visit import Key, Visit
from gatepost.session.setup import Setup

# Twice the time that Postfix waits for the next command of a client (smtpd_timeout).
IDLE: Final = 600.0
# Each takes some 5 KB.
MOST: Final = 10_000


class Asker(Protocol):
    """The connection of a mail server: its address, and the name of the listener."""

    peer: Endpoint
    listener: str


class Visits:
    """The open transactions; `dialect` is the policy protocol's, `now` is the event loop's time at the last sweep.

    `next_id` returns the id of a new session. `run_to_end` runs what no connection waits for.
    """

    def __init__(
        self,
        setup: Setup,
        dialect: Dialect,
        relay_networks: Networks,
        next_id: Callable[[], str],
        run_to_end: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._setup = setup
        self._dialect = dialect
        self._relay_networks = relay_networks
        self._next_id = next_id
        self._run_to_end = run_to_end
        # In the order of their last request.
        self._open: dict[Key, Visit] = {}
        self.now = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def find(self, asker: Asker, attributes: facts.Attributes, last: Visit | None) -> Visit:
        """Return the transaction of a request; `last` is that of the request before, if any."""
        key = (asker.peer.host, attributes.get("instance", ""))
        visit = self._open.pop(key, None)
        if visit is None:
            visit = self._begin(asker, attributes, key, last)
        self._open[key] = visit
        visit.used = self.now
        if len(self._open) > MOST:
            self._make_room()
        return visit

    def is_open(self, visit: Visit) -> bool:
        """Return whether a transaction may still be asked about, and is not decided."""
        return visit.decided is None and self._open.get(visit.key) is visit

    def _begin(
        self, asker: Asker, attributes: facts.Attributes, key: Key, last: Visit | None
    ) -> Visit:
        if last is None or last.busy or self._open.get(last.key) is not last:
            return Visit(self._engine(asker, attributes), key)
        session = last.engine.talk.session
        client = facts.client(attributes)
        if not client.port or session.peer != client:
            self._end(last)
            return Visit(self._engine(asker, attributes), key)
        del self._open[last.key]
        self._run_to_end(last.engine.talk.reset())
        return Visit(last.engine, key, connected=last.connected)

    def _engine(self, asker: Asker, attributes: facts.Attributes) -> Engine:
        setup, client = self._setup, facts.client(attributes)
        session = Session(
            self._next_id(),
            client,
            facts.server(attributes),
            setup.clock.time(),
            via=asker.peer,
            protocol=self._dialect.name,
            listener=asker.listener,
            in_relay_network=is_within(client.host, self._relay_networks),
        )
        setup.recorder.connection_opened(session)
        return Engine(setup, session, self._dialect)

    def sweep(self, now: float) -> None:
        """End the transactions that were not asked about for long."""
        self.now = now
        due = takewhile(lambda visit: now - visit.used > IDLE, self._open.values())
        for visit in [one for one in due if not one.busy]:
            self._end(visit)

    def _make_room(self) -> None:
        for visit in self._open.values():
            if not visit.busy:
                self._end(visit)
                return

    def _end(self, visit: Visit) -> None:
        """End a transaction and its session."""
        del self._open[visit.key]
        talk = visit.engine.talk
        ending = visit.engine.disconnected()
        if ending is not None:
            self._run_to_end(ending)
        talk.recorder.connection_closed(talk.session, 0, 0, after_quit=True)

    def close(self) -> None:
        """End all transactions: the server stops."""
        for visit in tuple(self._open.values()):
            self._end(visit)
