"""Other services: addresses of scanners and next hops, numbers of points."""

import re
from ipaddress import ip_address

from gatepost.model.address import AddressError, parse_domain

_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_MOST_POINTS = 1000.0
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LAST_PORT = 65535


def server_address(text: str, port: int, host: str = "localhost") -> str:
    """Return "unix:PATH" or "HOST:PORT" for a path, a host, or a host with a port."""
    if text.startswith("/"):
        return f"unix:{text}"
    name, mark, number = text.rpartition(":")
    if mark and number.isascii() and number.isdigit():
        return f"{name or host}:{int(number)}"
    return f"{text or host}:{port}"


def points(text: str) -> float:
    """Return a number of points, 0 for a text that is none."""
    number = float(text) if _NUMBER.fullmatch(text) else 0.0
    return number if number <= _MOST_POINTS else 0.0


def next_hop(scheme: str, host: str, port: str) -> str | None:
    """Return the target of a mail server, None for what is no host or no port."""
    bare = host.removeprefix("[").removesuffix("]")
    if not _PORT.fullmatch(port) or int(port) > _LAST_PORT or not _is_host(bare):
        return None
    return f"{scheme}://{f'[{bare}]' if ':' in bare else bare}:{int(port)}"


def _is_host(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        pass
    try:
        return bool(parse_domain(text))
    except AddressError:
        return False
