"""Write the values of records for people: times, sizes, durations, replies.

Times are in a given zone, the local one by default, and have their offset from UTC.

Limits: a number that is no time, such as infinity, is written as it is.
"""

import re
from datetime import UTC, datetime, tzinfo

_UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_LENGTHS = (("d", 86400), ("h", 3600), ("m", 60))
_CODES = re.compile(r"\s*([2-5][0-9]{2})[ -](?:[245]\.[0-9]{1,3}\.[0-9]{1,3} )?")
REFERENCE = r"[0-9A-Za-z]{1,32}-[0-9a-f]{1,16}(?:\.[0-9a-f]{1,16})?"
_AT_THE_END = re.compile(rf"\s*\[{REFERENCE}\]\s*\Z")

FULL = "%a %d %b %Y %H:%M:%S %z"
ISO = "%Y-%m-%dT%H:%M:%S%z"


def moment(seconds: float, form: str, zone: tzinfo | None = None) -> str:
    """Return a time in seconds since 1970 in a form of strftime."""
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(zone).strftime(form)
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def number(count: float) -> str:
    """Return a number with its thousands separated by commas."""
    return f"{count:,}"


def counted(count: int, noun: str) -> str:
    """Return `1 recipient` or `2 recipients`."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def octets(count: int) -> str:
    """Return a size: `812 B`, `1.5 KiB`, `2.0 GiB`."""
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def duration(seconds: float) -> str:
    """Return a duration: `0.42 ms`, `350 ms`, `1.2 s`, `2 m 5 s`, `3 d 4 h`."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.2g} ms" if seconds < 0.01 else f"{milliseconds:.0f} ms"
    if not 60 <= seconds < 1e9:
        return f"{seconds:.1f} s"
    rest, words = int(seconds), []
    for unit, length in (*_LENGTHS, ("s", 1)):
        if rest >= length:
            words.append(f"{rest // length} {unit}")
        rest %= length
    return " ".join(words[:2])


def path(address: str) -> str:
    """Return an address in angle brackets; the null sender is `<>`."""
    return f"<{address}>"


def code(reply: str) -> int:
    """Return the code of a reply, 0 if it has none."""
    match = _CODES.match(reply)
    return int(match[1]) if match else 0


def bare(reply: str) -> str:
    """Return the text of a reply without its codes and its reference."""
    match = _CODES.match(reply)
    return _AT_THE_END.sub("", reply[match.end() :] if match else reply).strip()


def on_one_line(reply: str) -> str:
    """Return a reply of several lines as one."""
    return " ".join(reply.splitlines())


def without_reference(reply: str) -> str:
    """Return a reply with its codes and without its reference."""
    return _AT_THE_END.sub("", reply)
