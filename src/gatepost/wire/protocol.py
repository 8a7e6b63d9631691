"""The contract of a protocol's receiving side: bytes in, events out, replies back.

`gatepost.wire.smtp.server` describes it in full. A caller that needs only this contract can drive
any protocol that keeps it.
"""

from abc import ABC, abstractmethod
from enum import Enum
from typing import Final

from gatepost.model.reply import Reply
from gatepost.wire.events import Event


class Signal(Enum):
    """Returned by `next_event` when there is no event."""

    NEED_DATA = "need data"
    PAUSED = "paused"


NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED


class ProtocolError(Exception):
    """The caller broke the contract. Input from the network never causes it."""


class Wire(ABC):
    """The receiving side of one connection."""

    # A base class and not a typing.Protocol: the compiled build calls its methods directly.
    __slots__ = ()

    @property
    @abstractmethod
    def unread(self) -> int:
        """Return the number of octets received and not yet interpreted."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Return whether the final reply was sent. No further input is read."""

    @abstractmethod
    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the client."""

    @abstractmethod
    def next_event(self) -> Event | Signal:
        """Return the next event, NEED_DATA if more input is needed, or PAUSED before a reply."""

    @abstractmethod
    def send(self, reply: Reply) -> bytes:
        """Answer the last event and return the bytes to send. Raises `ProtocolError`."""


class MtaWire(Wire):
    """The receiving side of one connection of a mail server that asks for decisions."""

    __slots__ = ()

    @abstractmethod
    def progress(self) -> bytes:
        """Return what lets the mail server wait longer for the next reply, b"" for nothing."""
