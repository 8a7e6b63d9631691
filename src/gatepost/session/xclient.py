"""Another client in the middle of a connection: what XCLIENT makes of a session.

Security: the address decides whether the next XCLIENT is believed. A host in front that hands its
client's own bytes on after it has named the client must not let that client name itself anew.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Session
from gatepost.wire.smtp.xclient import TEMPORARILY_UNAVAILABLE, UNAVAILABLE

_UNKNOWN = (UNAVAILABLE, TEMPORARILY_UNAVAILABLE)


class Gate(Protocol):
    """Who lets clients in; only connections that may send XCLIENT have one."""

    def readmit(self, session: Session, address: str | None) -> Reply | None:
        """Count the connection as this session's client's; return the refusal if it may not stay.

        `address` is ADDR as given, None if it was not: a client that was named, even as one whose
        address is unknown, sends the next XCLIENT in its own name.
        """


def claimed(session: Session, attributes: Mapping[str, str], now: float) -> Session:
    """Return the session that a client with these attributes would have begun now.

    It keeps its name and its count of transactions. Where no address is given, or none is known,
    that of the connection stands; the attributes of an earlier XCLIENT stay unless given anew.
    """
    peer = _endpoint(attributes, "ADDR", "PORT") or session.peer
    helo = attributes.get("HELO", UNAVAILABLE)
    return msgspec.structs.replace(
        session,
        peer=peer,
        local=_endpoint(attributes, "DESTADDR", "DESTPORT") or session.local,
        started=now,
        helo="" if helo in _UNKNOWN else helo,
        extended=False,
        notes={},
        auth=None,
        via=session.via or session.peer,
        xclient={**(session.xclient or {}), **attributes},
    )


def _endpoint(attributes: Mapping[str, str], address: str, port: str) -> Endpoint | None:
    host, number = attributes.get(address, UNAVAILABLE), attributes.get(port, UNAVAILABLE)
    if host in _UNKNOWN:
        return None
    return Endpoint(host, 0 if number in _UNKNOWN else int(number))
