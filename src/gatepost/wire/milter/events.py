"""The events of the milter protocol that SMTP does not have."""

from collections.abc import Mapping

from gatepost.model.endpoint import Endpoint
from gatepost.wire.events import Event


class Negotiate(Event, frozen=True):
    """The mail server offers its version of the protocol. Answer with any reply that accepts."""


class Reported(Event, frozen=True):
    """An event of SMTP, and the macros that the mail server has sent for it.

    `event` is a `Client`, or `Helo`, `Mail`, `Rcpt`, `Data`, `Unknown`, `Rset`, `EndOfMessage`,
    `MessageFault` of `gatepost.wire.events`. Names of macros have no braces.
    """

    event: Event
    macros: Mapping[str, str] = {}


class Client(Event, frozen=True):
    """A client has connected to the mail server: the start of a session.

    `name` is the name that the mail server has found for the address, often "unknown". A client
    without an IP address has the host "local".
    """

    name: str
    peer: Endpoint


class Piece(Event, frozen=True):
    """A piece of the message that takes a reply, unlike `Content`: a refusal ends the message."""

    data: bytes


class SessionEnd(Event, frozen=True):
    """The client has gone. Another one may follow."""
