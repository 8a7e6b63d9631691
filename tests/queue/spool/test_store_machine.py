"""Random operations, failures and crashes: no message is lost, none comes back.

A message that is delivered at once is in the journal only, until it is absorbed. If an absorption
is rolled back, the journal is closed, and the next write absorbs it.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from tests.queue.spool.samples import (
    NOW,
    Claims,
    committed,
    content,
    facts,
    new_message,
    open_store,
    recipient,
)

from gatepost.queue.spool import admin, changes
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.memtable import MAX_CONTENT
from gatepost.queue.spool.records import AttemptResult, Deferred, Held

FAR = NOW + 50_000
DESTINATIONS = ("one", "two", "three")
NAMES = st.lists(st.sampled_from(DESTINATIONS), min_size=1, max_size=3)
SIZES = st.sampled_from([0, 1, 5000, 300_000])


class Spool(RuleBasedStateMachine):
    """The model: the content of each message, and its queued and held recipients."""

    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = open_store(self.folder / "1.db")
        self.claims = Claims(limit=3)
        self.queued, self.held, self.contents, self.journaled = {}, {}, {}, set()
        self.absorption_failed = False
        self.now = NOW
        self.count = 0

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    def _new_message(self, names, size):
        self.count += 1
        ref, octets = f"s-1.{self.count}", b"%d" % self.count + b"x" * size
        to = [recipient(f"u{at}@example.com", name, self.now) for at, name in enumerate(names)]
        return new_message(*to, content=octets, of=facts(ref))

    def _arrived(self, number, new_message):
        (self.contents[number],) = new_message.pieces
        to = {(str(one.facts.address), one.destination) for one in new_message.recipients}
        self.queued[number], self.held[number] = to, set()

    @rule(names=NAMES, size=SIZES, abort=st.booleans())
    def put(self, names, size, abort):
        made = self._new_message(names, size)
        self.store.begin()
        number = self.store.put(made)
        if abort:
            self.store.roll_back()
            return
        self.store.commit()
        self._arrived(number, made)

    @rule(target=jobs, names=NAMES, size=SIZES, abort=st.booleans())
    def post(self, names, size, abort):
        made = self._new_message(names, size)
        self.store.begin()
        jobs = self.store.post(made, self.now, at_once=True)
        if abort:
            self.store.roll_back()
            return []
        self.store.commit()
        number = jobs[0].message
        self._arrived(number, made)
        if made.size <= MAX_CONTENT:
            self.journaled.add(number)
            self._absorbed_after_failure()
        assert {job.destination for job in jobs} == set(names)
        for job in jobs:
            assert content(self.store, job) == self.contents[number]
            self.claims.taken.add((number, job.destination))
        return jobs

    @rule(abort=st.booleans())
    def absorb(self, abort):
        self.store.begin()
        self.store.absorb()
        if abort:
            self.store.roll_back()
            self.absorption_failed = self.absorption_failed or bool(self.journaled)
            return
        self.store.commit()
        self._absorbed()

    def _absorbed(self):
        self.journaled.clear()
        self.absorption_failed = False

    def _absorbed_after_failure(self):
        if self.absorption_failed:
            self._absorbed()

    @rule(target=jobs)
    def take(self):
        with committed(self.store):
            taken = self.store.take(self.now, 2, self.claims)
        assert not taken.damaged
        for job in taken.jobs:
            key = job.message, job.destination
            assert key not in self.claims.taken
            self.claims.taken.add(key)
            assert content(self.store, job) == self.contents[job.message]
            found = {(str(one.facts.address), job.destination) for one in job.recipients}
            assert found <= self.queued[job.message]
        return taken.jobs

    @rule(jobs=consumes(jobs), fates=st.lists(st.sampled_from("dlh"), min_size=3, max_size=3))
    def record(self, jobs, fates):
        for job in jobs:
            key = job.message, job.destination
            if key not in self.claims.taken:
                continue  # from before a crash
            self.claims.taken.discard(key)
            ends = {"d": [], "l": [], "h": []}
            for one, fate in zip(job.recipients, fates, strict=False):
                ends[fate].append(one)
            with committed(self.store):
                self.store.record(
                    AttemptResult(
                        job.message,
                        [job.destination],
                        delivered=[one.id for one in ends["d"]],
                        deferred=[Deferred(one.id, self.now + 60, "", "") for one in ends["l"]],
                        held=[Held(one.id, "", "") for one in ends["h"]],
                    )
                )
            if job.message in self.journaled:
                self._absorbed_after_failure()
                if ends["l"] or ends["h"]:
                    self._absorbed()
            for fate, ended in ends.items():
                for one in ended:
                    self._recorded(job.message, (str(one.facts.address), job.destination), fate)

    def _recorded(self, message, recipient, fate):
        if recipient in self.queued.get(message, ()) and fate != "l":
            self.queued[message].discard(recipient)
            if fate == "h":
                self.held[message].add(recipient)

    @rule(name=st.sampled_from(DESTINATIONS))
    def remove(self, name):
        sum(admin.apply(self.folder, Selection(destination=name), changes.REMOVE, FAR))
        for model in (self.queued, self.held):
            for message in model.keys() - self.journaled:
                model[message] -= {one for one in model[message] if one[1] == name}
        self.claims.taken = {
            key for key in self.claims.taken if key[1] != name or key[0] in self.journaled
        }

    @rule()
    def release(self):
        sum(admin.apply(self.folder, Selection(), changes.RELEASE, FAR))
        for message, held in self.held.items():
            self.queued[message] |= held
            held.clear()

    @rule()
    def hold(self):
        sum(admin.apply(self.folder, Selection(), changes.HOLD, FAR))
        for message in self.queued.keys() - self.journaled:
            self.held[message] |= self.queued[message]
            self.queued[message].clear()
        self.claims.taken = {key for key in self.claims.taken if key[0] in self.journaled}

    @rule(seconds=st.sampled_from([0, 59, 60, 1000]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def crash(self):
        copy = Path(tempfile.mkdtemp())
        for path in self.folder.iterdir():
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        self.store.close()
        shutil.rmtree(self.folder)
        self.folder = copy
        self.store = open_store(copy / "1.db")
        self.claims.taken.clear()
        self.absorption_failed = False

    @invariant()
    def no_message_is_lost_or_comes_back(self):
        found = {}
        for entry in admin.entries(self.folder, Selection(), 1000):
            message = int(entry.name.partition("-")[2])
            found.setdefault((message, entry.state), set()).add(
                (entry.recipient, entry.destination)
            )
        expected = {
            (message, state): recipients
            for state, model in (("queued", self.queued), ("held", self.held))
            for message, recipients in model.items()
            if recipients and message not in self.journaled
        }
        assert found == expected
        kept = {row[0] for row in self.store.connection.execute("SELECT id FROM message")}
        pieces = {row[0] >> 24 for row in self.store.connection.execute("SELECT id FROM content")}
        assert kept == pieces == {message for message, _ in expected}

    @invariant()
    def queued_recipients_are_found_when_due(self):
        unlimited = Claims(limit=10_000)
        with committed(self.store):
            taken = self.store.take(self.now + 60, 10_000, unlimited)
        found = {(job.message, job.destination) for job in taken.jobs}
        assert found == {
            (message, name)
            for message, recipients in self.queued.items()
            for _, name in recipients
            if message not in self.journaled
        }


TestSpool = Spool.TestCase
TestSpool.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
