"""The lines that `gatepost queue` prints about recipients."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gatepost.cli.shared.output import plain_table, print_line
from gatepost.config.units import format_size
from gatepost.queue.spool.admin import QueueEntry

_COLUMNS = ("message", "state", "next attempt", "attempts", "size", "recipient")
_TIMES = ("received", "expires", "due", "held")


def as_data(entry: QueueEntry) -> dict[str, Any]:
    """Return an entry for JSON; `plugin` has put the message into quarantine."""
    times = {name: time_text(getattr(entry, name)) for name in _TIMES}
    data = entry._asdict() | times | {"message": entry.name, "state": entry.state}
    data["plugin"] = data.pop("holder")
    return {name: value for name, value in data.items() if name not in ("name", "row")}


def print_list(entries: Sequence[QueueEntry]) -> None:
    """Print a table, and below each row what would make it too wide for a terminal."""
    rows = [_as_row(one) for one in entries]
    headers, *lines = plain_table(_COLUMNS, rows)
    print_line(headers)
    for line, entry in zip(lines, entries, strict=True):
        print_line(line)
        print_line(
            f"    from <{entry.sender}>" + (f" to {entry.destination}" * bool(entry.destination))
        )
        if entry.reply or entry.reason:
            print_line(f"    {entry.reply or entry.reason}{_by(entry)}")


def held_text(entry: QueueEntry) -> str:
    """Return since when a recipient has been held, and by which plugin; "" if that is unknown."""
    since = time_text(entry.held)
    return f"since {since}{_by(entry)}" if since else ""


def _by(entry: QueueEntry) -> str:
    return f" ({entry.holder})" if entry.holder else ""


def _as_row(entry: QueueEntry) -> list[str]:
    return [
        entry.name,
        entry.state,
        time_text(entry.due) or "",
        str(entry.attempts),
        size_text(entry.size),
        f"<{entry.recipient}>",
    ]


def size_text(octets: int) -> str:
    """Return a size as text; the value of a damaged row is returned unchanged."""
    return format_size(octets) if isinstance(octets, int) else str(octets)


def time_text(seconds: float | None) -> str | None:
    """Return a time as text; the value of a damaged row is returned unchanged."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, TypeError, OverflowError, OSError):
        return str(seconds)
