"""XCLIENT: a trusted host in front names another client in the middle of a connection.

Security: the address decides whether the next XCLIENT is accepted. After a host has named a client
it may pass on that client's own bytes; these must not name another.
"""

from collections.abc import Mapping

import msgspec

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Session
from gatepost.wire.smtp.syntax.xclient import TEMPORARILY_UNAVAILABLE, UNAVAILABLE

_UNKNOWN = (UNAVAILABLE, TEMPORARILY_UNAVAILABLE)


def claimed(session: Session, attributes: Mapping[str, str], now: float) -> Session:
    """Return the session that a client with these attributes would have begun now.

    It keeps its id and its count of transactions. Without a known address that of the connection
    stays; the attributes of an earlier XCLIENT stay unless they are given again.
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
        found=None,
        auth=None,
        held=None,
        via=session.via or session.peer,
        xclient={**(session.xclient or {}), **attributes},
    )


def _endpoint(attributes: Mapping[str, str], address: str, port: str) -> Endpoint | None:
    host, number = attributes.get(address, UNAVAILABLE), attributes.get(port, UNAVAILABLE)
    if host in _UNKNOWN:
        return None
    return Endpoint(host, 0 if number in _UNKNOWN else int(number))
