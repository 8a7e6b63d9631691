"""One aligned line for each record, as `gatepost log` prints them.

The width of a column is that of its longest cell. If the line is too long for the terminal, the
widest columns shrink first, but not a reference of the server. A wide terminal gets more columns,
and a file or a pipe the whole time too. On a terminal a time of the last day has no date, and an
earlier one no seconds.

Security: cells have texts of clients and plugins; `gatepost.ledger.words.fitting` makes them
printable.

Limits: at least NARROWEST columns. A cell has at most MAX_CELL.
"""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from gatepost.ledger.records import (
    SERVER,
    Answer,
    Connection,
    Delivery,
    Gap,
    Notice,
    Record,
    Transaction,
)
from gatepost.ledger.words.fitting import Line, Part, columns, cut, padded
from gatepost.ledger.words.story import outcome
from gatepost.ledger.words.wording import (
    ISO,
    code,
    counted,
    duration,
    moment,
    octets,
    on_one_line,
)

NARROWEST = 80
MAX_CELL = 120
# Terminals from here on get the columns that are marked as extra.
WIDE = 120
GAP = " "
DAY = 86400
# Forms of times on a narrow terminal, of the last day and earlier, and on others.
_OF_TODAY, _EARLIER, _WITH_DATE = "%H:%M:%S", "%d %H:%M", "%m-%d %H:%M:%S"


class Entry(NamedTuple):
    """The cells of a record, before they are cut.

    `more` is the number of recipients that are not shown. `text` takes the whole line after the
    result: such a record has no other cells.
    """

    time: float
    result: str
    client: str = ""
    sender: str = ""
    recipient: str = ""
    more: str = ""
    reason: str = ""
    ref: str = ""
    name: str = ""
    size: str = ""
    took: str = ""
    reply: str = ""
    text: str = ""


class Column(NamedTuple):
    """A column: its field in `Entry`, the width that it keeps, and whether only wide lines have it.

    `least` is 0 for a column that is never cut.
    """

    field: str
    least: int = 0
    extra: bool = False


COLUMNS = (
    Column("time"),
    Column("result"),
    Column("client", 9),
    Column("name", 10, extra=True),
    Column("sender", 6),
    Column("recipient", 6),
    Column("more"),
    Column("size", 0, extra=True),
    Column("took", 0, extra=True),
    Column("reason", 12),
    Column("ref", 20),
    Column("reply", 10, extra=True),
)


class Listing:
    """The layout of a list; `width` is the terminal's, None for a file or a pipe.

    The first records determine the columns. Later ones, as of `gatepost log -f`, are cut to fit.
    `now` is in seconds since 1970.
    """

    def __init__(
        self, records: Sequence[Record], width: int | None, now: float, zone: tzinfo | None = None
    ) -> None:
        self._zone = zone
        self._width = MAX_CELL if width is None else max(width, NARROWEST)
        wide = width is None or width >= WIDE
        self._columns = [one for one in COLUMNS if wide or not one.extra]
        entries = [entry_of(record) for record in records]
        is_old = any(now - one.time > DAY for one in entries)
        narrow = _EARLIER if is_old else _OF_TODAY
        self._form = ISO if width is None else _WITH_DATE if wide else narrow
        self._widths = self._natural([one for one in entries if not one.text])
        if width is not None:
            self._shrink()

    def line(self, record: Record) -> Line:
        """Return the line of a record."""
        entry = entry_of(record)
        cells = self._cells(entry)
        last = max(at for at, cell in enumerate(cells) if cell)
        start = self._parts(cells[:2] if entry.text else cells[:last])
        used = sum(columns(part.text) for part in start)
        room = self._width - used if entry.text else self._widths[last]
        return (*start, Part(cut(entry.text or cells[last], room)))

    def _parts(self, cells: Sequence[str]) -> list[Part]:
        parts = []
        for column, cell, width in zip(self._columns, cells, self._widths, strict=False):
            parts.append(Part(padded(cell, width), cell if column.field == "result" else ""))
            parts.append(Part(GAP))
        return parts

    def _natural(self, entries: Sequence[Entry]) -> list[int]:
        """Return the widths that no cell exceeds, with some room for records that come later."""
        time = columns(moment(0, self._form, self._zone))
        usual = {"time": time, "result": len("accepted"), "client": 15, "ref": 13}
        widths = [usual.get(one.field, 0) for one in self._columns]
        for entry in entries:
            widths = list(map(max, widths, map(columns, self._cells(entry))))
        return [min(one, MAX_CELL) for one in widths]

    def _shrink(self) -> None:
        self._narrow([column.least or MAX_CELL for column in self._columns])
        self._narrow([1] * len(self._columns))  # for values that no server writes

    def _narrow(self, least: Sequence[int]) -> None:
        """Take columns from the widest cells, but leave the least widths."""
        spare = self._width - len(GAP) * (len(self._widths) - 1)
        while sum(self._widths) > spare:
            room = [width - kept for width, kept in zip(self._widths, least, strict=True)]
            if max(room) <= 0:
                return
            self._widths[room.index(max(room))] -= 1

    def _cells(self, entry: Entry) -> list[str]:
        time = moment(entry.time, self._form, self._zone)
        values: dict[str, Any] = entry._asdict() | {"time": time}
        return [values[column.field] for column in self._columns]


def entry_of(record: Record) -> Entry:
    """Return the cells of a record."""
    return _ENTRIES[type(record)](record)


def refusing(answers: Sequence[Answer]) -> Answer | None:
    """Return the last answer that refused or deferred, None without one."""
    found = (one for one in reversed(answers) if one.verdict != "accept" and not one.shadow)
    return next(found, None)


def result_of(connection: Connection) -> str:
    """Return what became of a connection: "refused", "deferred", or the way it ended.

    A reply with 4xx asks the client to try again.
    """
    answer = refusing(connection.answers)
    replied = code(connection.reply) or (code(answer.reply) if answer else 0)
    if not replied and answer is not None:
        return "deferred" if answer.verdict == "defer" else "refused"
    if replied >= 400:
        return "deferred" if replied < 500 else "refused"
    return "connected" if connection.end in ("quit", "lost") else "refused"


def is_notable(record: Record) -> bool:
    """Return whether a list shows a record unless it shows everything.

    A connection is not notable if its transactions have it all.
    """
    return not isinstance(record, Connection) or result_of(record) != "connected"


def _connection(record: Connection) -> Entry:
    answer = refusing(record.answers)
    reply = record.reply or (answer.reply if answer else "")
    reason = (answer.reason if answer else "") or record.end
    about = answer.about if answer and answer.hook != "helo" else ""
    return Entry(
        record.time,
        result_of(record),
        record.client.address,
        recipient=about,
        reason=" ".join(filter(None, (reason, record.problem))),
        ref=record.ref,
        name=record.client.name or record.client.helo,
        took=_took(record.seconds),
        reply=on_one_line(reply),
    )


def _transaction(record: Transaction) -> Entry:
    addresses = [one.address for one in record.recipients]
    objection = None if record.result == "accepted" else refusing(record.answers)
    reason = record.reason or (objection.reason if objection else "")
    by = record.by or (objection.by if objection else "")
    author = "" if by in SERVER or by == reason else f"{by}: "
    reply = on_one_line(record.reply)
    return Entry(
        record.time,
        outcome(record),
        record.client.address,
        _sender(record.sender),
        *_recipients(addresses, record.recipients_count),
        f"{author}{reason}" if reason else "" if record.result == "accepted" else reply,
        record.ref,
        record.client.name or record.client.helo,
        octets(record.size) if record.size else "",
        _took(record.seconds),
        reply,
    )


def _delivery(record: Delivery) -> Entry:
    reply = on_one_line(record.reply or record.detail)
    return Entry(
        record.time,
        record.result,
        record.destination,
        _sender(record.sender),
        *_recipients(record.recipients, record.recipients_count),
        "" if record.result == "delivered" else reply,
        record.ref,
        reply=reply,
    )


def _notice(record: Notice) -> Entry:
    words = filter(None, (record.name, record.about, record.detail))
    return Entry(record.time, "notice", text=": ".join(words) or "-")


def _gap(record: Gap) -> Entry:
    count = counted(record.count, "record")
    return Entry(record.time, "missing", text=f"{count}: {record.cause}")


def _recipients(addresses: Sequence[str], count: int) -> tuple[str, str]:
    """Return the first recipient, and how many more there are."""
    more = max(count, len(addresses)) - 1
    return (addresses[0] if addresses else ""), (f"+{more}" if more > 0 else "")


def _sender(address: str) -> str:
    return address or "<>"


def _took(seconds: float) -> str:
    return duration(seconds) if seconds else ""


_ENTRIES: dict[type[Record], Callable[[Any], Entry]] = {
    Connection: _connection,
    Transaction: _transaction,
    Delivery: _delivery,
    Notice: _notice,
    Gap: _gap,
}
