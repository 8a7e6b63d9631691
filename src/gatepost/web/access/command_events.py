"""Events of `gatepost web`, in `web/events` of the data folder until the dashboard records them.

Only the dashboard has the way to the ledger. A running one records them within seconds, otherwise
the next one does.

Trusts nothing: a line that is no event is left out. Limits: the newest MOST events.
"""

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from gatepost.disk.durable import ensure_private
from gatepost.disk.rewrite import locked, rewrite
from gatepost.web.access.entries import FILE_MODE, FOLDER, give_to

FILE = "events"
MOST = 1000


class EventName(StrEnum):
    """The events of commands."""

    USER_ADDED = "dashboard user added"
    USER_REMOVED = "dashboard user removed"
    PASSWORD_CHANGED = "dashboard password changed"  # noqa: S105 - no secret
    TOKEN_ADDED = "api token added"  # noqa: S105 - no secret
    TOKEN_REMOVED = "api token removed"  # noqa: S105 - no secret


class CommandEvent(msgspec.Struct, frozen=True):
    """A change: when, what, by which user of the system, and of which user or token."""

    time: float
    name: EventName
    author: str
    detail: str


_decode = msgspec.json.Decoder(CommandEvent).decode


class CommandEvents:
    """The file in the data folder `data`."""

    def __init__(self, data: Path) -> None:
        self.path = data / FOLDER / FILE

    def add(self, event: CommandEvent, owner: str = "") -> None:
        """Add an event; `owner` is the owner of a new file. Raises OSError."""
        ensure_private(self.path.parent)
        with locked(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE) as file:
            give_to(owner, file.fileno())
            lines = [one for one in file.read().splitlines(keepends=True) if one.endswith(b"\n")]
            rewrite(self.path, file, [*lines, msgspec.json.encode(event) + b"\n"][-MOST:])

    def take(self) -> Sequence[CommandEvent]:
        """Return the events, and remove them. Raises OSError."""
        if not self.path.exists() or not self.path.stat().st_size:
            return ()
        with locked(self.path, os.O_RDWR | os.O_CLOEXEC) as file:
            found = list(_events(file.read().splitlines()[-MOST:]))
            rewrite(self.path, file, [])
        return found


def _events(lines: Sequence[bytes]) -> Iterator[CommandEvent]:
    for line in lines:
        try:
            yield _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
