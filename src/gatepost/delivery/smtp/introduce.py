"""Telling the next hop who the client is: a PROXY header, or XCLIENT where that is offered.

A connection that is told of a client is that client's alone: see `identity`.
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
from gatepost.wire.smtp.xclient import UNAVAILABLE

Forward = Literal["none", "xclient", "proxy-v1", "proxy-v2"]

_PROXY_VERSIONS = {"proxy-v1": 1, "proxy-v2": 2}
# What XCLIENT can carry (XCLIENT_README, note 1), and EHLO.
_NAME = re.compile(r"[!-~]{1,255}")


class Introduced(msgspec.Struct, frozen=True):
    """Who a next hop is told of."""

    peer: Endpoint
    local: Endpoint
    helo: str
    extended: bool


def identity(forward: Forward, session: Session) -> Introduced | None:
    """Return for whom a connection is; None where it may be anybody's."""
    if forward == "none":
        return None
    return Introduced(session.peer, session.local, session.helo, session.extended)


def proxy_header(forward: Forward, client: Introduced | None) -> bytes:
    """Return the PROXY header to begin with, b"" where there is none to send."""
    version = _PROXY_VERSIONS.get(forward)
    if version is None or client is None:
        return b""
    return write_proxy_header(version, client.peer, client.local)


def xclient(client: Introduced, offered: str) -> e.Xclient | None:
    """Return XCLIENT with those attributes that the keyword offers; None if that is none."""
    wanted = offered.upper().split()
    attributes = {name: value for name, value in _attributes(client).items() if name in wanted}
    return e.Xclient(attributes) if attributes else None


def greeting_name(client: Introduced) -> str:
    """Return what the client has called itself, "" if that is not to be repeated."""
    return client.helo if _NAME.fullmatch(client.helo) else ""


def _attributes(client: Introduced) -> Mapping[str, str]:
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
