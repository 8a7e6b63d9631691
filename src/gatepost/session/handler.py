"""The contract between the engine, which answers events, and the pump that drives it."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

from gatepost.model.reply import Reply


class Handler(ABC):
    """Answers events."""

    __slots__ = ()

    @property
    @abstractmethod
    def counted(self) -> Collection[Any]:
        """The types of events whose replies are always counted."""

    @property
    @abstractmethod
    def error_delay(self) -> float:
        """Seconds to wait before a refusal is sent."""

    @abstractmethod
    def handle(self, event: Any) -> Any:
        """Return a reply, or a coroutine that ends with one; None for a piece of content.

        Events of content have the octets as `data`.
        """

    @abstractmethod
    def count(self, event: Any, reply: Reply) -> Reply:
        """Count the reply towards the limits; return it, or the one that ends the session."""

    @abstractmethod
    def fail(self, event: Any) -> Reply | None:
        """Return the reply to an event whose handling raised an exception."""
