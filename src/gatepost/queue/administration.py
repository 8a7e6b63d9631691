"""The owner's work on a spool file for an administrator: changes, copies, the end of quarantine.

Once a second the rows of the table `change` are read (`gatepost.queue.spool.changes`). Copies that
are to be stored are stored. Changes go to the recorder, and are deleted with the next ones, so that
each is reported at least once. Once in CHECK seconds messages that have been in quarantine longer
than `quarantine.keep` are removed, and the size of the quarantine is measured.

If the disk is full, all of this waits.

Limits: BATCH rows at a time; the next second continues.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from gatepost.delivery.target import DeliveryError
from gatepost.log.logger import get_logger
from gatepost.model.address import NULL_PATH
from gatepost.queue.quarantine import Quarantine
from gatepost.queue.recorder import DeliveryRecorder
from gatepost.queue.spool import changes as c
from gatepost.queue.spool.depth import quarantined
from gatepost.queue.spool.records import (
    MessageFacts,
    NewMessage,
    NewRecipient,
    decode_message,
    decode_recipient,
)
from gatepost.queue.spool.sql.database import STORAGE_ERRORS
from gatepost.queue.spool.sql.outcomes import clean_up
from gatepost.queue.spool.store import Store
from gatepost.queue.spool.writer import SpoolWriter

BATCH = 1000
CHECK = 60.0
# The parameters of MAIL that belong to the content; the others are the sender's.
_OF_CONTENT = ("BODY", "SMTPUTF8", "SIZE")

_log = get_logger("gatepost.queue")


class _Due(NamedTuple):
    """The work of one visit: `reported` is the number of the last change that was reported.

    With `before` messages that were held before that time expire.
    """

    now: float
    expires: float
    reported: int
    before: float | None


class _Done(NamedTuple):
    """The result: changes to report up to the number `last`, octets in quarantine (None: unknown).

    `has_new` is whether there are new messages.
    """

    last: int
    changes: Sequence[c.Change]
    has_new: bool
    octets: int | None


class Administration:
    """Does the work on one file. `expire` is the lifetime of a copy in the queue, in seconds."""

    def __init__(
        self,
        writer: SpoolWriter,
        quarantine: Quarantine,
        recorder: DeliveryRecorder,
        expire: float,
    ) -> None:
        self._writer = writer
        self._quarantine = quarantine
        self._recorder = recorder
        self._expire = expire
        self._reported = 0
        self._checked = -CHECK
        self._is_failing = False

    async def visit(self, now: float) -> bool:
        """Do what is due; return whether there are new messages to deliver."""
        checks = abs(now - self._checked) >= CHECK
        before = now - self._quarantine.keep if checks else None
        due = _Due(now, now + self._expire, self._reported, before)
        try:
            done = await self._writer.submit(partial(_visit, due))
        except STORAGE_ERRORS as error:
            self._note_failure(error)
            return False
        self._is_failing = False
        self._checked = now if checks else self._checked
        self._report(done)
        return done.has_new

    def _report(self, done: _Done) -> None:
        self._reported = done.last
        for one in done.changes:
            self._recorder.changed(one)
        if done.octets is not None:
            self._quarantine.measured(self._writer.database.path, done.octets)

    def _note_failure(self, error: Exception) -> None:
        if not self._is_failing:
            file = str(self._writer.database.path)
            _log.error("changes not recorded", file=file, error=str(error))
        self._is_failing = True


def _visit(due: _Due, store: Store) -> _Done:
    """Do the work in the writing thread, in one transaction."""
    connection = store.connection
    if due.reported:
        c.delete_changes(store.transaction(), due.reported)
    if due.before is not None:
        _expire(store, due.before, due.now)
    if not c.has_changes(connection):
        return _Done(0, (), False, _octets(store, due))
    copies = c.read_copies(connection, BATCH)
    for copy in copies:
        _finish(store, copy, due)
    last, changes = c.read_changes(connection, BATCH)
    return _Done(last, changes, bool(copies), _octets(store, due))


def _octets(store: Store, due: _Due) -> int | None:
    return None if due.before is None else quarantined(store.connection)[1]


def _expire(store: Store, before: float, now: float) -> None:
    found = c.past_keeping(store.connection, before, BATCH)
    if found:
        messages = {message for message, _ in found}
        rows = [row for _, row in found]
        c.apply_change(store.transaction(), c.EXPIRE, c.Order(now), messages, rows)


def _finish(store: Store, copy: c.Copy, due: _Due) -> None:
    """Store a copy. A message that is damaged, or has gone, stays as it is."""
    connection = store.transaction()
    try:
        to = _store(store, copy, due)
    except (OSError, ValueError, TypeError, DeliveryError) as error:
        c.finish_copy(connection, copy.number, "held", f"not forwarded: {error}")
        return
    c.finish_copy(connection, copy.number, "forwarded", f"to {to}")
    if copy.moves:
        connection.execute(
            "DELETE FROM recipient WHERE id IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(copy.rows).decode(),),
        )
        clean_up(connection, {copy.message})


def _store(store: Store, copy: c.Copy, due: _Due) -> str:
    """Store a copy of a message, and return its recipient; raises OSError or ValueError."""
    row = store.connection.execute(
        "SELECT facts, size, digest FROM message WHERE id = ?", (copy.message,)
    ).fetchone()
    if row is None:
        raise ValueError("there is no such message any more")
    facts, size, digest = row
    recipient = decode_recipient(copy.detail)
    for _ in store.reader.pieces(copy.message, size, digest=digest):
        pass  # damage is found before anything is stored
    pieces = store.reader.pieces(copy.message, size, digest=digest)
    store.put(
        NewMessage(
            facts=_as_own(decode_message(facts)),
            recipients=[NewRecipient(recipient, "", due.now)],
            pieces=pieces,
            size=size,
            received=due.now,
            expires=due.expires,
            event=due.expires,
        )
    )
    return str(recipient.address)


def _as_own(facts: MessageFacts) -> MessageFacts:
    """Return the envelope of a copy: its sender is null, so that it causes no DSN."""
    params = {name: value for name, value in facts.params.items() if name in _OF_CONTENT}
    return msgspec.structs.replace(facts, reverse_path=NULL_PATH, params=params)
