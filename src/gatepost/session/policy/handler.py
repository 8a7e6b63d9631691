"""Answers to the requests of one connection of a mail server, for the pump."""

from collections.abc import Collection, Coroutine
from typing import Any

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.session import replies as r
from gatepost.session.handler import Handler
from gatepost.session.policy import request as facts
from gatepost.session.policy.visit import Visit
from gatepost.session.policy.visits import Asker, Visits
from gatepost.wire import events as e
from gatepost.wire.policy import Request


class PolicyHandler(Handler, Asker):
    """The requests of one connection; `last` is the transaction of the last one."""

    __slots__ = ("_visits", "last", "listener", "peer")

    def __init__(self, visits: Visits, peer: Endpoint, listener: str) -> None:
        self._visits = visits
        self.peer = peer
        self.listener = listener
        self.last: Visit | None = None

    @property
    def counted(self) -> Collection[Any]:
        """Return no types: nothing is counted."""
        return ()

    @property
    def error_delay(self) -> float:
        """Return 0: the mail server delays its own refusals."""
        return 0.0

    def handle(self, event: e.Event) -> Reply | Coroutine[Any, Any, Reply]:
        """Return the reply to a request, or what ends with it."""
        if type(event) is e.Fault:
            return event.reply
        assert isinstance(event, Request)
        if facts.stage(event.attributes) is None:
            return r.OK
        self.last = self._visits.find(self, event.attributes, self.last)
        return self.last.answer(event.attributes)

    def count(self, event: Any, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply: the mail server has limits of its own."""
        return reply

    def fail(self, event: Any) -> Reply:
        """Return the reply to a request whose handling raised an exception."""
        if self.last is None:
            return r.INTERNAL_ERROR
        return self.last.engine.fail(event) or r.INTERNAL_ERROR

    @property
    def idle(self) -> bool:
        """Return whether no transaction waits for a decision."""
        return self.last is None or not self._visits.is_open(self.last)
