"""Quotas of Maildirs as Maildir++ defines them, shared with other programs that use them.

Theory of operation: before a copy is written, a line in `maildirsize` reserves its room. A delivery
that is undone appends the negative. The Maildir is counted again if the file is unusable (absent,
another definition, too long, not in the format). It is also counted again if the message seems not
to fit, unless it was just counted: then the file has one line and is young.

The system gives lines an order. After reserving, a delivery checks whether other lines were
appended before its own, and gives way if they leave no room. So one of two racing deliveries gets
the last place.

A count sees only messages in their final place. It misses a message that is being delivered, and
drops its line with the old file. So after moving a message into place, a delivery checks that its
line is still there, and otherwise counts again. In between, the Maildir may exceed its quota by the
messages that are being delivered; Maildir++ has no lock and accepts that.

A killed process leaves at most one line too many, until the next count. So does a delivery that is
undone after a count has seen it. A power cut may lose lines, also until the next count: they are
not fsynced, because that would cost as much as the message itself.

Security: a sender can cause a count with a message that does not fit, and again after each message
that does. So the result of a slow count is trusted longer by the process that made it: RATIO times
as long as it took.

Limits: MAX_REMEMBERED Maildirs with a slow count; beyond that, all are dropped.

The limits are trusted. See `maildirsize` and `count` for data that they do not trust.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gatepost.delivery.maildir import maildirsize
from gatepost.delivery.maildir.count import change_times, count_usage
from gatepost.delivery.maildir.maildirsize import (
    QuotaLimits,
    Usage,
    UsageFile,
    UsageLine,
    UsageRecord,
)
from gatepost.delivery.target import DeliveryError
from gatepost.disk.names import UniqueNames
from gatepost.model.reply import Reply

# Maildir++: an older count is not trusted if it leaves no room.
TRUSTED_FOR = 15 * 60.0  # seconds
# Counts of a Maildir that keeps changing.
ATTEMPTS = 3
QUICK = 0.05  # seconds of CPU of a count that costs little: some ten thousand messages
RATIO = 100
MAX_REMEMBERED = 10_000

FULL = Reply(452, "Mailbox full, please try again later", "4.2.2")
# RFC 3463 section 3.3: larger than the mailbox accepts, even when it is empty.
TOO_LARGE = Reply(552, "Message larger than the mailbox quota", "5.2.3")


class OverQuotaError(DeliveryError):
    """A Maildir has no room for the message."""

    def __init__(self, reply: Reply, detail: str) -> None:
        permanent = reply.code >= 500
        super().__init__(reply.text, permanent, detail=f"maildir: {detail}", reply=reply)


class Quota:
    """Keeps Maildirs within `limits`, at least one of which is set; threads may share it."""

    def __init__(self, limits: QuotaLimits, names: UniqueNames) -> None:
        self._limits = limits
        self._names = names
        self._trusted_until: dict[Path, float] = {}

    def reserve(self, root: Path, size: int) -> "Reservation":
        """Reserve room in the Maildir `root` (its `tmp` exists) for a message of `size` octets.

        Raise `OverQuotaError` if there is none, and OSError.
        """
        needed = Usage(size, 1)
        if not needed.within(self._limits):
            found = f"found a message of {size} octets"
            raise OverQuotaError(TOO_LARGE, f"{root} may hold {self._definition()}, {found}")
        with self._usage_file(root, needed) as file:
            return Reservation(self, root, needed, self._append(file, needed))

    def _append(self, file: UsageFile, needed: Usage) -> UsageLine:
        used = _usage(file.record)
        if used.plus(needed).within(self._limits):
            line = file.append(needed)
            used = _usage(file.before(line))
            if used.plus(needed).within(self._limits):
                return line
            file.append(needed.negative())
        found = f"found {used.octets} octets in {used.messages} messages"
        more = f"{needed.octets} more do not fit"
        root = file.path.parent
        raise OverQuotaError(FULL, f"{root} may hold {self._definition()}, {found}, {more}")

    @contextmanager
    def _usage_file(self, root: Path, needed: Usage) -> Iterator[UsageFile]:
        with maildirsize.opened(root / maildirsize.NAME) as file:
            if file is not None and self._trusts(root, file, needed):
                yield file
                return
        with self.counted(root) as file:
            yield file

    def _trusts(self, root: Path, file: UsageFile, needed: Usage) -> bool:
        record = file.record
        if record is None or record.limits != self._limits:
            return False
        if record.usage.plus(needed).within(self._limits):
            return True
        just_counted = record.lines == 1 and abs(file.age) < TRUSTED_FOR
        return just_counted or time.monotonic() < self._trusted_until.get(root, 0.0)

    @contextmanager
    def counted(self, root: Path) -> Iterator[UsageFile]:
        """Count a Maildir and rewrite its `maildirsize`; yield the new file. Raise OSError."""
        path = root / maildirsize.NAME
        for left in reversed(range(ATTEMPTS)):
            draft = root / "tmp" / self._names.next()
            before = change_times(root)
            with maildirsize.rewritten(path, draft, self._limits, self._count(root)) as file:
                # Any change after this point is appended to the new file.
                if not left or change_times(root) == before:
                    yield file
                    return

    def _count(self, root: Path) -> Usage:
        start = time.thread_time()
        usage = count_usage(root)
        spent = time.thread_time() - start
        if spent > QUICK:
            if len(self._trusted_until) >= MAX_REMEMBERED:
                self._trusted_until.clear()
            self._trusted_until[root] = time.monotonic() + RATIO * spent
        return usage

    def _definition(self) -> str:
        return self._limits.definition().decode()


def _usage(record: UsageRecord | None) -> Usage:
    """Return the usage; zero for an unusable file, which the next delivery counts."""
    return Usage(0, 0) if record is None else record.usage


class Reservation(NamedTuple):
    """The room for one message that is being delivered; `keep` or `release` it."""

    quota: Quota
    root: Path
    room: Usage
    line: UsageLine

    def keep(self) -> None:
        """Ensure that a message in its final place is counted."""
        with suppress(OSError):  # it is delivered, and the next count sees it
            with maildirsize.opened(self.root / maildirsize.NAME) as file:
                if file is not None and file.contains(self.line):
                    return
            with self.quota.counted(self.root):
                pass

    def release(self) -> None:
        """Give the room back, unless a count has done so. Raise OSError."""
        with maildirsize.opened(self.root / maildirsize.NAME) as file:
            if file is not None and file.contains(self.line):
                file.append(self.room.negative())
