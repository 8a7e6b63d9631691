"""The contract between what answers a mail server that asks, and its connection."""

from abc import abstractmethod
from collections.abc import Collection, Coroutine
from typing import Any

from gatepost.session.conversation import Conversation
from gatepost.session.handler import Handler


class Traffic:
    """The octets of a connection so far."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0


class MtaHandler(Handler):
    """Answers events of a mail server that asks for decisions: many sessions on one connection."""

    __slots__ = ()

    @property
    def counted(self) -> Collection[Any]:
        """Return no types: the mail server counts what its clients do."""
        return ()

    @property
    def error_delay(self) -> float:
        """Return 0: the mail server delays its own refusals."""
        return 0.0

    @property
    @abstractmethod
    def talk(self) -> Conversation:
        """Return the session that is open, or the one before it."""

    @property
    @abstractmethod
    def open(self) -> bool:
        """Return whether a transaction is open."""

    @abstractmethod
    def sweep(self, now: float) -> None:
        """Do what no reply waits for; called about once a second."""

    @abstractmethod
    def lost(self) -> Coroutine[Any, Any, None] | None:
        """Clean up: the connection is gone; return a coroutine if plugins are to be notified."""
