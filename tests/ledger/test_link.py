"""Batches from a sender to the keeper: nothing is lost silently, and a sender never waits."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.ledger import link as link_module
from gatepost.ledger.keeper import Keeper, NoStore
from gatepost.ledger.link import (
    BATCH,
    LARGEST,
    Batch,
    Link,
    NoticeSender,
    decode_batch,
    encode_batch,
    socket_pair,
)
from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Gap,
    Notice,
    Transaction,
    decode,
    encode,
)


class Timer:
    """Keeps callbacks; `run` calls them."""

    def __init__(self):
        self.callbacks = []

    def __call__(self, _delay, callback):
        self.callbacks.append(callback)

    def run(self):
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


class Kept(NoStore):
    """A store in memory."""

    def __init__(self):
        super().__init__()
        self.records = []

    def add(self, records):
        found = super().add(records)
        self.records += map(decode, found.bodies)
        return found


@pytest.fixture
def sockets():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(one)) for one in socket_pair()]


def notices(first, count):
    return [Notice(0.0, str(number)) for number in range(first, first + count)]


def receive(reader, keeper):
    reader.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            keeper.take(reader.recv(link_module.PACKET))


def test_records_arrive_after_the_interval_in_one_batch(sockets):
    reader, sender = sockets
    timer, store = Timer(), Kept()
    link = Link(sender, timer)
    for one in notices(0, 5):
        link.add(one)
    assert len(timer.callbacks) == 1
    reader.setblocking(False)
    with pytest.raises(BlockingIOError):
        reader.recv(1)
    timer.run()
    receive(reader, Keeper(store))
    assert store.records == notices(0, 5)
    assert timer.callbacks == []


def test_events_are_sent_at_once_and_lost_if_the_socket_is_full(sockets):
    reader, sender = sockets
    store, sending = Kept(), NoticeSender(sender, "supervisor-1")
    keeper = Keeper(store)
    for one in notices(0, 3):
        sending.send(one)
    receive(reader, keeper)
    assert store.records == notices(0, 3)
    reader.close()
    sending.send(Notice(0.0, "lost"))


def test_a_full_batch_is_sent_at_once(sockets):
    reader, sender = sockets
    timer, store = Timer(), Kept()
    link = Link(sender, timer)
    big = Notice(0.0, "x" * 500)
    for _ in range(BATCH // 500 + 1):
        link.add(big)
    receive(reader, Keeper(store))
    assert len(store.records) == BATCH // len(encode(big)) + 1


def test_when_the_ledger_hangs_records_wait_and_then_are_dropped_and_counted(sockets, monkeypatch):
    monkeypatch.setattr(link_module, "BUFFER", 10_000)
    reader, sender = sockets
    timer, store = Timer(), Kept()
    link = Link(sender, timer)
    big = Notice(0.0, "x" * 500)
    while not link.dropped:
        link.add(big)
    sent = link._next + len(link._pending)
    keeper = Keeper(store)
    while not link.flush():
        receive(reader, keeper)
    for one in notices(0, 3):
        link.add(one)
    timer.run()
    receive(reader, keeper)
    gaps = [one for one in store.records if type(one) is Gap]
    assert [(one.count, one.cause) for one in gaps] == [(1, "the ledger was too slow")]
    kept = [one for one in store.records if type(one) is Notice]
    assert len(kept) == sent - link.dropped + 3


def test_records_that_a_killed_process_had_taken_over_are_a_gap(sockets):
    reader, sender = sockets
    timer, store = Timer(), Kept()
    store.positions["another sender"] = 1
    link = Link(sender, timer)
    for one in notices(0, 4):
        link.add(one)
    timer.run()
    receive(reader, Keeper(NoStore()))  # killed before its commit
    for one in notices(4, 2):
        link.add(one)
    timer.run()
    receive(reader, Keeper(store))
    assert [type(one) for one in store.records] == [Gap, Notice, Notice]
    assert (store.records[0].count, store.records[0].cause) == (4, "the ledger process was killed")


def test_a_store_without_memory_reports_no_gap(sockets):
    reader, sender = sockets
    timer, store = Timer(), Kept()
    link = Link(sender, timer)
    for first, keeper in ((0, Keeper(NoStore())), (4, Keeper(store))):
        for one in notices(first, 4):
            link.add(one)
        timer.run()
        receive(reader, keeper)
    assert store.records == notices(4, 4)


def test_what_was_committed_before_a_restart_is_no_gap(sockets):
    reader, sender = sockets
    timer, store = Timer(), Kept()
    link = Link(sender, timer)
    for first in (0, 4):
        for one in notices(first, 4):
            link.add(one)
        timer.run()
        receive(reader, Keeper(store))
    assert store.records == notices(0, 8)


def test_a_huge_record_loses_its_lists_but_not_its_facts(sockets):
    reader, sender = sockets
    timer, store = Timer(), Kept()
    answers = [Answer("rcpt", "x" * 500, "deny", reply="y" * 500)] * 100
    link = Link(sender, timer)
    link.add(Connection(0.0, "ref", Client("192.0.2.1"), answers=answers, faults=100))
    assert len(encode(Connection(0.0, "ref", Client("192.0.2.1"), answers=answers))) > LARGEST
    timer.run()
    receive(reader, Keeper(store))
    [found] = store.records
    assert (found.ref, found.faults, found.answers) == ("ref", 100, ())


def test_a_closed_reader_stops_nothing():
    reader, sender = socket_pair()
    reader.close()
    timer = Timer()
    link = Link(sender, timer)
    for one in notices(0, 3):
        link.add(one)
    timer.run()
    assert link.dropped == 3
    sender.close()


def test_the_keeper_ends_when_all_senders_are_closed(sockets):
    reader, sender = sockets
    store = Kept()
    link = Link(sender, Timer())
    link.add(Notice(0.0, "last"))
    link.flush()
    sender.close()
    Keeper(store).run(reader)
    assert store.records == [Notice(0.0, "last")]


def test_a_stopped_keeper_writes_first_what_was_sent(sockets):
    reader, sender = sockets
    store = Kept()
    link = Link(sender, Timer())
    link.add(Notice(0.0, "last"))
    link.flush()
    keeper = Keeper(store)
    keeper.stop()
    keeper.run(reader)
    assert store.records == [Notice(0.0, "last")]


def test_old_files_are_not_looked_at_after_each_commit(sockets):
    reader, sender = sockets
    calls, times = [], iter(range(11))
    packet = encode_batch(Batch("a", 0, 0, [encode(Notice(0.0, "one"))]))

    def clock():
        """Each look at the clock is a second later, and makes the next one come."""
        now = next(times, None)
        if now is None:
            sender.close()
            return 11.0
        sender.send(packet)
        return float(now)

    class Counted(Kept):
        def tend(self):
            calls.append("tend")

        def maintain(self):
            calls.append("maintain")

    Keeper(Counted(), monotonic=clock).run(reader)
    assert calls.count("maintain") == 3
    assert calls.count("tend") == 11


def test_the_state_of_a_worker_comes_with_a_batch(sockets):
    reader, sender = sockets
    found = []
    timer = Timer()
    link = Link(sender, timer)
    link.add(Notice(0.0, "one"))
    link.report(b"state")
    receive(reader, Keeper(NoStore(), on_status=found.append))
    assert found == [b"state"]


@given(st.binary())
def test_a_packet_that_is_no_batch_is_ignored(packet):
    store = Kept()
    Keeper(store).take(packet)
    assert store.records == []


def test_senders_are_remembered_up_to_a_limit():
    store = NoStore()
    keeper = Keeper(store)
    for number in range(1200):
        keeper.take(encode_batch(Batch(str(number), 0, 0, [])))
    assert len(store.positions) == 1000


def test_a_batch_is_decoded_as_it_was_encoded():
    batch = Batch("a", 1, 2, [encode(Notice(0.0, "x"))], b"s")
    assert decode_batch(encode_batch(batch)) == batch


def test_a_transaction_record_survives_the_way():
    record = Transaction(1.0, "r", "s", Client("::1", 1), "", "refused", "gatepost", "trap")
    assert decode(encode(record)) == record
