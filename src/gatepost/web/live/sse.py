"""The format of server-sent events (HTML, section 9.2).

Security: a line end in the data begins a new line of data, so that no text of a client can become
a field of an event.
"""

import re

MEDIA_TYPE = "text/event-stream"
# The header fields of a stream; a reverse proxy must not collect its events.
HEADERS = {"X-Accel-Buffering": "no"}
# A line without a meaning, by which the server finds a client that has gone.
COMMENT = b":\n\n"

_LINE_END = re.compile(r"\r\n|\r|\n")


def event(name: str, data: str, identity: str = "") -> bytes:
    """Return an event; `identity` is the one from which a client continues, "" without."""
    lines = [f"data: {line}\n" for line in _LINE_END.split(data)]
    first = f"id: {identity}\n" if identity else ""
    return f"{first}event: {name}\n{''.join(lines)}\n".encode(errors="replace")


def progress(identity: str) -> bytes:
    """Return an event that only has an identity: browsers store it, and show nothing."""
    return f"id: {identity}\n\n".encode()


def retry(seconds: float) -> bytes:
    """Return the time after which a browser connects again."""
    return f"retry: {int(seconds * 1000)}\n\n".encode()
