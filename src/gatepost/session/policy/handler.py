"""Answers to the requests of one connection of a mail server, for the pump."""

from collections.abc import Coroutine
from typing import Any

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Session
from gatepost.session import replies as r
from gatepost.session.conversation import Conversation
from gatepost.session.dialect import POLICY
from gatepost.session.mta_handler import MtaHandler
from gatepost.session.policy import request as facts
from gatepost.session.policy.visit import Visit
from gatepost.session.policy.visits import Visits
from gatepost.session.setup import Setup
from gatepost.wire import events as e
from gatepost.wire.policy import Request


class PolicyHandler(MtaHandler):
    """The requests of one connection.

    `peer` is the mail server, `listener` the name of the listener. `last` is the transaction of the
    last request, None before the first one.
    """

    __slots__ = ("_listener", "_none", "_peer", "_visits", "last")

    def __init__(self, setup: Setup, visits: Visits, peer: Endpoint, listener: str) -> None:
        self._visits = visits
        self._peer = peer
        self._listener = listener
        self.last: Visit | None = None
        session = Session("", peer, peer, 0.0, protocol=POLICY.name, listener=listener)
        self._none = Conversation(setup, session, POLICY)

    @property
    def talk(self) -> Conversation:
        """Return the session that the mail server asked about last."""
        return self._none if self.last is None else self.last.engine.talk

    @property
    def open(self) -> bool:
        """Return false: the mail server does not report that a client is gone.

        A stop would wait for transactions that never end.
        """
        return False

    def handle(self, event: e.Event) -> Reply | Coroutine[Any, Any, Reply]:
        """Return the reply to a request, or what ends with it."""
        if type(event) is e.Fault:
            return event.reply
        assert isinstance(event, Request)
        if facts.stage(event.attributes) is None:
            return r.OK
        visit = self._visits.find(event.attributes, self._peer, self._listener, self.last)
        self.last = visit
        return visit.answer(event.attributes)

    def count(self, event: Any, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply: the mail server has limits of its own."""
        return reply

    def fail(self, event: Any) -> Reply:
        """Return the reply to a request whose handling raised an exception."""
        reply = None if self.last is None else self.last.engine.fail(event)
        return reply or r.INTERNAL_ERROR

    def sweep(self, now: float) -> None:
        """Do nothing: the transactions are those of all connections."""

    def lost(self) -> None:
        """Do nothing: the mail server may ask about its transaction on another connection."""
