"""The client of a request: its address, its scheme, and the user that a reverse proxy names.

Security: header fields are believed only from `web.proxy_from`, or on a Unix socket, whose clients
are those that may open its file. A field that occurs twice is not believed: a proxy that adds its
own may have left the client's. Of X-Forwarded-For the last address counts, which the proxy has
added.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from starlette.requests import Request

from gatepost.config.schema import WebConfig

UNIX = "unix socket"


class Client(NamedTuple):
    """A client; `user` is the name from a reverse proxy, "" without one."""

    address: str
    is_secure: bool
    user: str = ""


def client_of(request: Request, web: WebConfig) -> Client:
    """Return the client of a request."""
    host = request.client.host if request.client is not None else ""
    is_secure = request.scope["scheme"] == "https"
    if not _is_proxy(host, web):
        return Client(host, is_secure)
    forwarded = _last(request.headers.getlist("x-forwarded-for"))
    protocol = _last(request.headers.getlist("x-forwarded-proto"))
    names = request.headers.getlist(web.user_header) if web.user_header else []
    return Client(
        _address(forwarded) or host or UNIX,
        is_secure or protocol == "https",
        names[0].strip() if len(names) == 1 else "",
    )


def _is_proxy(host: str, web: WebConfig) -> bool:
    if web.listen.startswith("unix:"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in web.proxy_from)


def _last(values: Sequence[str]) -> str:
    return values[-1].rpartition(",")[2].strip() if values else ""


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
