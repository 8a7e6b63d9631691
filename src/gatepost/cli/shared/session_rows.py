"""Open sessions as rows of a table, for `gatepost sessions` and `gatepost top`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gatepost.ledger.words.wording import octets
from gatepost.server.live import LiveSession

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


class Column(NamedTuple):
    """The heading of a column, its text for a session, and the value that it is sorted by."""

    heading: str
    text: Callable[[LiveSession], str]
    value: Callable[[LiveSession], str | float]


def short(seconds: float) -> str:
    """Return a duration as one number: `0.4s`, `35s`, `12m`, `3h`, `2d`."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:.1f}s" if seconds < 10 else f"{int(seconds)}s"


def _text(heading: str, text: Callable[[LiveSession], str]) -> Column:
    return Column(heading, text, text)


def _waits_for(one: LiveSession) -> str:
    return f"{one.plugin} {short(one.waiting)}" if one.plugin else ""


def _recipients(one: LiveSession) -> str:
    return str(one.recipients) if one.transaction else ""


COLUMNS: Sequence[Column] = (
    _text("session", lambda one: one.ref),
    Column("age", lambda one: short(one.age), lambda one: one.age),
    Column("idle", lambda one: short(one.idle), lambda one: one.idle),
    _text("step", lambda one: one.step),
    Column("waits for", _waits_for, lambda one: one.waiting),
    _text("client", lambda one: one.client),
    _text("name", lambda one: one.name),
    _text("helo", lambda one: one.helo),
    _text("user", lambda one: one.user),
    _text("sender", lambda one: one.path),
    Column("rcpts", _recipients, lambda one: one.recipients),
    Column("messages", lambda one: str(one.messages), lambda one: one.messages),
    Column("received", lambda one: octets(one.received), lambda one: one.received),
    _text("protocol", lambda one: one.protocol),
    _text("listener", lambda one: one.listener),
    _text("tls", lambda one: one.tls),
    _text("via", lambda one: one.via),
)


def filled(
    sessions: Sequence[LiveSession], columns: Sequence[Column] = COLUMNS
) -> list[tuple[Column, list[str]]]:
    """Return the columns that have a text for any of the sessions, with their texts."""
    texts = [(column, [column.text(one) for one in sessions]) for column in columns]
    return [(column, cells) for column, cells in texts if any(cells)]
