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
called about once a second.
"""

from collections.abc import Callable, Coroutine
from itertools import takewhile
from typing import Any, Final

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Session
from gatepost.net.networks import Networks, is_within
from gatepost.session.dialect import POLICY
from gatepost.session.engine import Engine
from gatepost.session.policy import request as facts
from gatepost.session.policy.visit import Key, Visit
from gatepost.session.setup import Setup

# Twice the time that Postfix waits for the next command of a client (smtpd_timeout).
IDLE: Final = 600.0
# Each takes some 3 KB.
MOST: Final = 10_000


class Visits:
    """The open transactions; `now` is the event loop's time at the last sweep.

    `next_id` returns the id of a new session. `run_to_end` runs what no connection waits for.
    """

    def __init__(
        self,
        setup: Setup,
        relay_networks: Networks,
        next_id: Callable[[], str],
        run_to_end: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._setup = setup
        self._relay_networks = relay_networks
        self._next_id = next_id
        self._run_to_end = run_to_end
        # In the order of their last request.
        self._open: dict[Key, Visit] = {}
        self.now = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def find(
        self, attributes: facts.Attributes, asker: Endpoint, listener: str, last: Visit | None
    ) -> Visit:
        """Return the transaction of a request.

        `asker` is the mail server, `listener` the name of the listener. `last` is the transaction
        of the request before on the same connection, None if this is the first.
        """
        key = (asker.host, attributes.get("instance", ""))
        visit = self._open.pop(key, None)
        if visit is None:
            visit = self._follow(attributes, key, last)
        if visit is None:
            visit = Visit(self._engine(attributes, asker, listener), key)
        self._open[key] = visit
        visit.used = self.now
        if len(self._open) > MOST:
            self._make_room()
        return visit

    def _follow(self, attributes: facts.Attributes, key: Key, last: Visit | None) -> Visit | None:
        """End the transaction before; return the next one if it is of the same session."""
        if last is None or last.busy or self._open.get(last.key) is not last:
            return None
        client = facts.client(attributes)
        if not client.port or last.engine.talk.session.peer != client:
            self._end(last)
            return None
        del self._open[last.key]
        self._run_to_end(last.engine.talk.reset())
        return Visit(last.engine, key, connected=last.connected)

    def _engine(self, attributes: facts.Attributes, asker: Endpoint, listener: str) -> Engine:
        setup, client = self._setup, facts.client(attributes)
        session = Session(
            self._next_id(),
            client,
            facts.server(attributes),
            setup.clock.time(),
            via=asker,
            protocol=POLICY.name,
            listener=listener,
            in_relay_network=is_within(client.host, self._relay_networks),
        )
        setup.recorder.connection_opened(session)
        return Engine(setup, session, POLICY)

    def sweep(self, now: float) -> None:
        """Record trap hits, and end the transactions that were not asked about for long."""
        self.now = now
        for visit in self._open.values():
            if visit.engine.talk.unrecorded:
                visit.engine.talk.record_traps()
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
