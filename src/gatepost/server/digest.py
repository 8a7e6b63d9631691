"""The daily list of new messages in quarantine, for the administrator.

Theory of operation: at `quarantine.digest_at` the first worker that locks the file `digest` of the
data folder sends the list. It reads the spool files of all workers, and puts a message into the
queue, if anything was held since the last list. The time of that is in the file. If the list cannot
be sent, another worker tries, or the next one has the same messages. A store would be wrong: one
that machines share would have one list for all of them, but each has a quarantine of its own.

Security: subjects, addresses and reasons come from senders. Each is one printable line, cut to
LONGEST characters.

Limits: the NEWEST messages are listed; all are counted.
"""

import asyncio
import fcntl
import heapq
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gatepost.config.quarantine import QuarantineConfig
from gatepost.delivery.target import DeliveryError
from gatepost.log.logger import get_logger
from gatepost.log.printable import printable
from gatepost.log.render import format_traceback
from gatepost.model.headers import Headers
from gatepost.plugin.clock import Clock
from gatepost.plugin.outbox import Outbox
from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import QueueEntry, Selection
from gatepost.queue.spool.sql.schema import VersionError

if TYPE_CHECKING:
    from email.message import EmailMessage

NEWEST = 50
LONGEST = 100
NAMED = 3
DAY = 86400.0
# Seconds over which the workers spread.
SPREAD = 30.0
FILE = "digest"
_NO_LIMIT = 1 << 62
_HEADER_LIMIT = 64 * 1024
_EXPECTED = (DeliveryError, OSError, RuntimeError, ValueError, VersionError)

_log = get_logger("gatepost.queue")


class HeldMessage(NamedTuple):
    """A message in quarantine: its first recipients, and the number of all."""

    name: str
    ref: str
    sender: str
    recipients: Sequence[str]
    rcpts: int
    reason: str
    plugin: str
    held: float
    subject: str = ""


class NewMessages(NamedTuple):
    """The number of new messages by reason and plugin, and the newest of them, newest first."""

    counts: Counter[tuple[str, str]]
    newest: Sequence[HeldMessage]


class Digest:
    """Sends the list by `outbox`. `data_dir` has the spool and the file of the last list."""

    def __init__(
        self,
        config: QuarantineConfig,
        data_dir: Path,
        hostname: str,
        *,
        clock: Clock,
        outbox: Outbox,
    ) -> None:
        self._config = config
        self._spool = data_dir / "spool"
        self._file = data_dir / FILE
        self._hostname = hostname
        self._clock = clock
        self._outbox = outbox

    async def run(self) -> None:
        """Send a list each day, until it is cancelled."""
        while True:
            moment = next_moment(self._config.digest_at, self._clock.time())
            await self._clock.wait_until(moment, spread=SPREAD)
            try:
                await self.send(moment)
            except (*_EXPECTED, sqlite3.Error) as error:
                _log.error("digest not sent", error=str(error))
            except Exception as error:  # noqa: BLE001 - the next one may be possible
                _log.error("digest not sent", exception=format_traceback(error))

    async def send(self, moment: float) -> None:
        """Send a list of what is new, if anything is, unless a worker has or does since `moment`.

        Raises OSError, and as `new_messages` and `Outbox.submit`.
        """
        with _opened(self._file) as file:
            if not _lock(file):
                return
            now = self._clock.time()
            last = _time_in(file, now)
            if last < moment:
                await self._submit(last or now - DAY)
                os.pwrite(file, b"%010d\n" % int(now), 0)

    async def _submit(self, since: float) -> None:
        found = await asyncio.to_thread(new_messages, self._spool, since)
        if found.counts:
            message = compose(found, self._config.digest, self._hostname, since)
            await self._outbox.submit("gatepost", "", [self._config.digest], message)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    """Lock a file until it is closed; return whether no other worker has the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _time_in(file: int, now: float) -> int:
    """Return the time in a file, 0 without one that can be: the file is new or damaged."""
    text = os.pread(file, 20, 0).strip()
    seconds = int(text) if text.isdigit() else 0
    return seconds if seconds <= now else 0


def next_moment(time_of_day: str, now: float) -> float:
    """Return when it is this time of day the next time, in local time."""
    hour, minute = map(int, time_of_day.split(":"))
    today = _local(now).replace(hour=hour, minute=minute, second=0, microsecond=0)
    # A day has 23 to 25 hours in local time.
    days = (today + timedelta(days=number) for number in range(3))
    return next(moment for day in days if (moment := day.timestamp()) > now)


def _local(seconds: float) -> datetime:
    """Return a time without its zone: arithmetic with it is that of a clock on the wall."""
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006 - local time is intended


def new_messages(folder: Path, since: float) -> NewMessages:
    """Return the messages held since a time. Blocking I/O; raises as `admin.entries`."""
    counts: Counter[tuple[str, str]] = Counter()
    messages = _counted(counts, _messages(folder, since))
    newest = heapq.nlargest(NEWEST, messages, key=attrgetter("held"))
    return NewMessages(counts, [one._replace(subject=_subject(folder, one.name)) for one in newest])


def _messages(folder: Path, since: float) -> Iterator[HeldMessage]:
    entries = admin.entries(folder, Selection(plugin="*", since=since), _NO_LIMIT)
    for _, group in groupby(entries, key=attrgetter("name")):
        yield _held(list(group))


def _held(entries: Sequence[QueueEntry]) -> HeldMessage:
    one = entries[0]
    recipients = [_line(each.recipient) for each in entries[:NAMED]]
    held = one.held if isinstance(one.held, float) else 0.0
    return HeldMessage(
        one.name,
        _line(one.ref),
        _line(one.sender),
        recipients,
        len(entries),
        _line(one.reason),
        _line(one.holder),
        held,
    )


def _counted(
    counts: Counter[tuple[str, str]], messages: Iterator[HeldMessage]
) -> Iterator[HeldMessage]:
    for one in messages:
        counts[one.reason, one.plugin] += 1
        yield one


def _subject(folder: Path, name: str) -> str:
    """Return the decoded subject of a message, "" if it cannot be read."""
    try:
        with admin.open_message(folder, name) as message:
            first = b"" if message is None else next(message.pieces, b"")
    except (OSError, sqlite3.Error):
        return ""
    header = first[:_HEADER_LIMIT].partition(b"\r\n\r\n")[0]
    return _line(_decoded(Headers(header).get("Subject") or ""))


def _decoded(text: str) -> str:
    """Return a text with its encoded words (RFC 2047) decoded, as far as that is possible."""
    from email.errors import HeaderParseError  # noqa: PLC0415 - takes milliseconds
    from email.header import decode_header, make_header  # noqa: PLC0415

    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text


def _line(text: str) -> str:
    """Return a text as one printable line that can be encoded."""
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def compose(found: NewMessages, to: str, hostname: str, since: float) -> "EmailMessage":
    """Return the list as a message."""
    from email.message import EmailMessage  # noqa: PLC0415 - takes milliseconds

    total = found.counts.total()
    message = EmailMessage()
    message["From"] = f"Gatepost <postmaster@{hostname}>"
    message["To"] = to
    message["Subject"] = f"Quarantine: {_number(total)} on {hostname}"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_body(found, since)) + "\n")
    return message


def _body(found: NewMessages, since: float) -> Iterator[str]:
    yield f"Since {_time(since)} {_number(found.counts.total())} held."
    yield ""
    for (reason, plugin), count in found.counts.most_common():
        yield f"{count:>7}  {reason} ({plugin})"
    for one in found.newest:
        yield from ("", *_rows(one))
    more = found.counts.total() - len(found.newest)
    if more:
        yield from ("", f"Not listed: {more}. See: gatepost queue list --held --plugin '*'")
    yield from ("", "Remove a message:  gatepost queue remove NUMBER")


def _rows(one: HeldMessage) -> Iterator[str]:
    more = f" and {one.rcpts - NAMED} more" if one.rcpts > NAMED else ""
    yield f"Held:     {_time(one.held)}, {one.reason} ({one.plugin})"
    yield f"From:     <{one.sender}>"
    yield f"To:       {', '.join(f'<{rcpt}>' for rcpt in one.recipients)}{more}"
    yield f"Subject:  {one.subject}"
    yield f"Explain:  gatepost explain {one.ref}"
    yield f"Release:  gatepost queue release {one.name}"


def _number(count: int) -> str:
    return f"{count} new {'message' if count == 1 else 'messages'}"


def _time(seconds: float) -> str:
    return _local(int(seconds)).isoformat(" ", "minutes")
