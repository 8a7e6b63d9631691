"""Values of scanners: addresses and numbers of points."""

import re

_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_MOST_POINTS = 1000.0


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
