"""Quotas of Maildirs as Maildir++ defines them, shared with whatever else keeps to it.

Theory of operation: before a copy is written its room is reserved by a line in `maildirsize`; a
delivery that is taken back appends the negative. The file is counted anew where it is of no use
(absent, another definition, too long, not in the format), and where the message seems not to fit
unless it has just been counted: then only one line is in it, and it is young.

Lines have an order, which the system gives them. Who has reserved looks whether others came in
between, and gives way where the lines before his leave no room: of two who race for the last place
one gets it.

A count sees the messages that are in their place. One that is on its way at that moment is missed:
its line is gone with the file. Whoever has moved a message into its place looks whether its line is
still there, and if not has all counted again. In between the Maildir may get too full by the
messages under way; Maildir++ has no lock and accepts that.

A process that is killed leaves at worst a line too many, until the next count. So does a delivery
that is taken back after a count has seen it. After a power cut lines may be missing, until then
too: they are not fsynced, which would cost as much as the message itself.

Security: a sender can have a Maildir counted by a message that does not fit, again and again with
one in between that does. So a count that took long is believed for a while, by whoever made it:
RATIO times as long as it took.

Limits: MAX_REMEMBERED Maildirs of which that is known; past it all are forgotten.

Trusts the limits. See `maildirsize` and `tally` for what they do not trust.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gatepost.delivery.maildir import maildirsize
from gatepost.delivery.maildir.count import stamps, tally
from gatepost.delivery.maildir.maildirsize import Contents, Entry, Limits, Usage, UsageFile
from gatepost.delivery.target import DeliveryError
from gatepost.disk.names import UniqueNames
from gatepost.model.reply import Reply

# Maildir++: an older count is not believed when it leaves no room.
BELIEVED = 15 * 60.0  # seconds
# How often a Maildir is counted that does not keep still.
ATTEMPTS = 3
QUICK = 0.05  # seconds of CPU for a count that nobody minds: some ten thousand messages
RATIO = 100
MAX_REMEMBERED = 10_000

FULL = Reply(452, "The mailbox is full, please try again later", "4.2.2")
# RFC 3463 section 3.3: larger than the mailbox takes, even when it is empty.
TOO_LARGE = Reply(552, "The message is larger than the whole mailbox may be", "5.2.3")


class OverQuotaError(DeliveryError):
    """A Maildir has no room for the message."""

    def __init__(self, reply: Reply, detail: str) -> None:
        permanent = reply.code >= 500
        super().__init__(reply.text, permanent, detail=f"maildir: {detail}", reply=reply)


class Quota:
    """Keeps Maildirs within `limits`, of which one at least is set; threads may share one."""

    def __init__(self, limits: Limits, names: UniqueNames) -> None:
        self._limits = limits
        self._names = names
        self._rests: dict[Path, float] = {}

    def reserve(self, root: Path, size: int) -> "Reservation":
        """Have room in the Maildir `root` (its `tmp` exists) for a message of `size` octets.

        Raises `OverQuotaError` where there is none, and OSError.
        """
        needed = Usage(size, 1)
        if not needed.within(self._limits):
            found = f"found a message of {size} octets"
            raise OverQuotaError(TOO_LARGE, f"{root} may hold {self._said()}, {found}")
        with self._ledger(root, needed) as ledger:
            return Reservation(self, root, needed, self._enter(ledger, needed))

    def _enter(self, ledger: UsageFile, needed: Usage) -> Entry:
        used = _used(ledger.contents)
        if used.plus(needed).within(self._limits):
            entry = ledger.append(needed)
            used = _used(ledger.before(entry))
            if used.plus(needed).within(self._limits):
                return entry
            ledger.append(needed.negative())
        found = f"found {used.octets} octets in {used.messages} messages"
        more = f"{needed.octets} more do not fit"
        root = ledger.path.parent
        raise OverQuotaError(FULL, f"{root} may hold {self._said()}, {found}, {more}")

    @contextmanager
    def _ledger(self, root: Path, needed: Usage) -> Iterator[UsageFile]:
        with maildirsize.opened(root / maildirsize.NAME) as ledger:
            if ledger is not None and self._believes(root, ledger, needed):
                yield ledger
                return
        with self.counted(root) as ledger:
            yield ledger

    def _believes(self, root: Path, ledger: UsageFile, needed: Usage) -> bool:
        said = ledger.contents
        if said is None or said.limits != self._limits:
            return False
        if said.usage.plus(needed).within(self._limits):
            return True
        just_counted = said.lines == 1 and abs(ledger.age) < BELIEVED
        return just_counted or time.monotonic() < self._rests.get(root, 0.0)

    @contextmanager
    def counted(self, root: Path) -> Iterator[UsageFile]:
        """Count a Maildir, and yield its `maildirsize` written anew. Raises OSError."""
        path = root / maildirsize.NAME
        for left in reversed(range(ATTEMPTS)):
            draft = root / "tmp" / self._names.next()
            before = stamps(root)
            with maildirsize.written(path, draft, self._limits, self._tally(root)) as ledger:
                # Whoever changes something from here on finds the new file.
                if not left or stamps(root) == before:
                    yield ledger
                    return

    def _tally(self, root: Path) -> Usage:
        start = time.thread_time()
        usage = tally(root)
        spent = time.thread_time() - start
        if spent > QUICK:
            if len(self._rests) >= MAX_REMEMBERED:
                self._rests.clear()
            self._rests[root] = time.monotonic() + RATIO * spent
        return usage

    def _said(self) -> str:
        return self._limits.definition().decode()


def _used(said: Contents | None) -> Usage:
    """Return what is used; nothing where nothing of use is said: whoever comes next counts."""
    return Usage(0, 0) if said is None else said.usage


class Reservation(NamedTuple):
    """The room for one message that is on its way; `keep` or `release` it."""

    quota: Quota
    root: Path
    room: Usage
    entry: Entry

    def keep(self) -> None:
        """See to it that a message which is in its place is counted."""
        with suppress(OSError):  # it is delivered, and the next count sees it
            with maildirsize.opened(self.root / maildirsize.NAME) as ledger:
                if ledger is not None and ledger.holds(self.entry):
                    return
            with self.quota.counted(self.root):
                pass

    def release(self) -> None:
        """Give the room back, where a count has not done so. Raises OSError."""
        with maildirsize.opened(self.root / maildirsize.NAME) as ledger:
            if ledger is not None and ledger.holds(self.entry):
                ledger.append(self.room.negative())
