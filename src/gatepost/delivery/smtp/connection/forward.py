"""Forwards the client's identity to the next hop: a PROXY header, or XCLIENT if it is offered.

A connection that carries a client's identity is used for that client only.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Literal

import msgspec

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Session
from gatepost.wire import events as e
from gatepost.wire.proxy_writer import write_proxy_header
from gatepost.wire.smtp.syntax.xclient import UNAVAILABLE

Forward = Literal["none", "xclient", "proxy-v1", "proxy-v2"]

_PROXY_VERSIONS = {"proxy-v1": 1, "proxy-v2": 2}
# What XCLIENT can carry (XCLIENT_README, note 1), and EHLO.
_NAME = re.compile(r"[!-~]{1,255}")


class ForwardedClient(msgspec.Struct, frozen=True):
    """The identity of a client, as the next hop receives it."""

    peer: Endpoint
    local: Endpoint
    helo: str
    extended: bool


def forwarded_client(forward: Forward, session: Session) -> ForwardedClient | None:
    """Return the client that a connection is for; None if all clients can share it."""
    if forward == "none":
        return None
    return ForwardedClient(session.peer, session.local, session.helo, session.extended)


def proxy_header(forward: Forward, client: ForwardedClient | None) -> bytes:
    """Return the PROXY header to send first, b"" if there is none."""
    version = _PROXY_VERSIONS.get(forward)
    if version is None or client is None:
        return b""
    return write_proxy_header(version, client.peer, client.local)


def xclient(client: ForwardedClient, offered: str) -> e.Xclient | None:
    """Return XCLIENT with the attributes that the keyword offers; None if it offers none."""
    names = offered.upper().split()
    attributes = {name: value for name, value in _attributes(client).items() if name in names}
    return e.Xclient(attributes) if attributes else None


def greeting_name(client: ForwardedClient) -> str:
    """Return the client's name from EHLO, "" if it cannot be sent."""
    return client.helo if _NAME.fullmatch(client.helo) else ""


def _attributes(client: ForwardedClient) -> Mapping[str, str]:
    return {
        "NAME": UNAVAILABLE,
        "ADDR": _address(client.peer.host),
        "PORT": str(client.peer.port) if client.peer.port else UNAVAILABLE,
        "PROTO": "ESMTP" if client.extended else "SMTP",
        "HELO": greeting_name(client) or UNAVAILABLE,
        "DESTADDR": _address(client.local.host),
        "DESTPORT": str(client.local.port) if client.local.port else UNAVAILABLE,
    }


def _address(host: str) -> str:
    try:
        return f"IPV6:{host}" if ip_address(host).version == 6 else host
    except ValueError:
        return UNAVAILABLE
