"""One spool file: stored messages are taken, complete and in turn, until they are delivered."""

import os
import sqlite3

import msgspec
import pytest
from tests.queue.spool.samples import (
    HORIZON,
    NOW,
    Claims,
    committed,
    content,
    delivered,
    facts,
    flip_bit,
    new_message,
    put,
    recipient,
    record,
    store_at,
    take,
)

from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Recipient, Session, TlsFacts, Transaction
from gatepost.queue.spool.records import (
    AttemptResult,
    Deferred,
    Held,
    QueuedRecipient,
    message_facts,
    recipient_facts,
    transaction,
)
from gatepost.queue.spool.sql.content import CHUNK, DamagedContentError


def addresses(job):
    return [str(one.facts.address) for one in job.recipients]


def messages(jobs):
    return [job.message for job in jobs]


def rows(store, table):
    return store.connection.execute(f"SELECT * FROM {table}").fetchall()


def test_a_stored_message_is_taken(store):
    put(store, new_message(recipient("a@example.com"), recipient("b@example.com")))
    (job,) = take(store)
    assert addresses(job) == ["a@example.com", "b@example.com"]
    assert job.facts == facts()
    assert content(store, job) == b"Subject: x\r\n\r\nHello\r\n"
    assert job.recipients[0].recipient().address == Address.parse("a@example.com")


def test_a_delivered_message_leaves_nothing_behind(store):
    put(store, new_message())
    (job,) = take(store)
    record(store, delivered(job))
    assert take(store) == []
    assert [rows(store, table) for table in ("message", "content", "recipient", "destination")] == [
        []
    ] * 4
    with committed(store):
        assert store.is_empty()


def test_a_message_stays_until_its_last_recipient_is_delivered(store):
    put(store, new_message(recipient("a@example.com", "one"), recipient("b@example.com", "two")))
    first, second = take(store)
    record(store, delivered(first))
    assert content(store, second)
    (again,) = take(store)
    assert again.destination == second.destination
    record(store, delivered(again))
    assert rows(store, "message") == []


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_content_of_any_size_is_read_in_bounded_pieces(store, size):
    octets = os.urandom(size)
    put(store, new_message(content=[octets[:10], octets[10:]]))
    (job,) = take(store)
    pieces = list(store.reader.pieces(job.message, job.size))
    assert b"".join(pieces) == octets
    assert content(store, job) == octets
    assert all(len(piece) <= CHUNK for piece in pieces)
    record(store, delivered(job))
    assert rows(store, "content") == []


def test_a_message_of_the_wrong_size_is_not_stored(store):
    short = msgspec.structs.replace(new_message(content=b"whole"), pieces=[b"who"])
    with pytest.raises(DeliveryError, match="expected 5 octets of message, found 3"):
        put(store, short)
    assert rows(store, "message") == rows(store, "content") == []


def test_a_job_in_progress_is_not_taken_again(store):
    put(store, new_message(), new_message())
    claims = Claims()
    assert len(take(store, claims=claims)) == 2
    assert take(store, claims=claims) == []
    claims.taken.clear()  # as after a crash
    assert len(take(store, claims=claims)) == 2


def test_a_job_is_taken_when_it_is_due_and_not_before(store):
    put(store, new_message(recipient(due=NOW + 60)))
    assert take(store, NOW + 59) == []
    assert len(take(store, NOW + 60)) == 1


def test_a_deferred_recipient_keeps_the_last_reply(store):
    put(store, new_message(recipient("a@example.com"), recipient("b@example.com")))
    (job,) = take(store)
    a, b = job.recipients
    later = Deferred(a.id, NOW + 300, "451 4.3.0 Later", "mailbox busy")
    record(store, AttemptResult(job.message, ["one"], delivered=[b.id], deferred=[later]))
    assert take(store, NOW + 299) == []
    (again,) = take(store, NOW + 300)
    (found,) = again.recipients
    assert (found.attempts, found.reply, found.reason) == (1, "451 4.3.0 Later", "mailbox busy")
    assert addresses(again) == ["a@example.com"]


def test_a_held_recipient_is_not_taken(store):
    put(store, new_message(event=NOW + 5))
    (job,) = take(store)
    held = [Held(job.recipients[0].id, "550 5.1.1 Unknown", "refused")]
    record(store, AttemptResult(job.message, ["one"], held=held))
    assert take(store, NOW + HORIZON) == []
    with committed(store):
        assert store.elapsed(NOW + 5, NOW + HORIZON, 9).jobs == []
    assert [row[4] for row in rows(store, "recipient")] == [None]


def test_the_destination_with_the_fewest_active_deliveries_goes_first(store):
    put(store, *[new_message(recipient(destination="busy")) for _ in range(30)])
    put(store, new_message(recipient(destination="other", due=NOW + 1)))
    claims = Claims(limit=3)
    assert [job.destination for job in take(store, NOW + 1, claims=claims)] == [
        "busy", "other", "busy", "busy",
    ]  # fmt: skip
    put(store, new_message(recipient(destination="third", due=NOW + 2)))
    assert [job.destination for job in take(store, NOW + 2, claims=claims)] == ["third"]


def test_a_limited_take_is_shared_evenly(store):
    for name in ("one", "two", "three"):
        put(store, *[new_message(recipient(destination=name)) for _ in range(10)])
    names = [job.destination for job in take(store, total=6)]
    assert sorted(names) == ["one", "one", "three", "three", "two", "two"]


def test_a_suspended_destination_is_not_taken(tmp_path):
    suspended = {"dead": NOW + 600}
    with store_at(
        tmp_path / "1.db", suspended_until=lambda name: suspended.get(name, 0.0)
    ) as store:
        put(
            store,
            new_message(recipient(destination="dead")),
            new_message(recipient(destination="fine")),
        )
        assert [job.destination for job in take(store)] == ["fine"]
        assert "dead" in [job.destination for job in take(store, NOW + 600)]


def test_a_clock_set_back_delays_nothing(store):
    put(store, new_message(recipient(due=NOW + 60), event=NOW + 100))
    long_before = NOW - 10 * HORIZON
    assert len(take(store, long_before)) == 1
    with committed(store):
        assert len(store.elapsed(long_before, long_before + HORIZON, 9).jobs) == 1


def test_elapsed_messages_are_returned_in_order(store):
    numbers = put(store, *[new_message(event=NOW + at) for at in (30, 10, 20)])
    with committed(store):
        assert messages(store.elapsed(NOW + 20, NOW + HORIZON, 9).jobs) == [numbers[1], numbers[2]]


def test_an_elapsed_message_without_recipients_is_deleted(store):
    put(store, new_message(event=NOW))
    store.connection.execute("DELETE FROM recipient")
    with committed(store):
        assert store.elapsed(NOW, NOW + HORIZON, 9).jobs == []
    assert rows(store, "message") == rows(store, "content") == []


def test_an_event_can_be_moved(store):
    (number,) = put(store, new_message(event=NOW))
    record(store, AttemptResult(number, [], event=NOW + 50))
    with committed(store):
        assert store.elapsed(NOW + 49, NOW + HORIZON, 9).jobs == []
        assert messages(store.elapsed(NOW + 50, NOW + HORIZON, 9).jobs) == [number]


def test_a_dsn_is_stored_together_with_the_result(store):
    put(store, new_message())
    (job,) = take(store)
    dsn = new_message(recipient("sender@example.net", "back"), of=facts("s-1.1-1", ""))
    result = AttemptResult(
        job.message, ["one"], delivered=[job.recipients[0].id], new_messages=[dsn]
    )
    record(store, result)
    (found,) = take(store)
    assert (found.destination, found.facts.id) == ("back", "s-1.1-1")


def test_recipients_move_to_another_destination(store):
    put(store, new_message())
    (job,) = take(store)
    with committed(store):
        store.move([job.recipients[0].id], "one", "two")
    (again,) = take(store)
    assert again.destination == "two"


def test_a_retry_of_the_administrator_reopens_a_destination(store):
    put(store, new_message(recipient(due=NOW + 900)))
    store.connection.execute("UPDATE recipient SET due = 0")
    store.connection.execute("UPDATE destination SET due = 0")
    claims = Claims()
    assert len(take(store, claims=claims)) == 1
    assert claims.reopened == ["one"]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE message SET facts = '{'", "damaged: Input data was truncated"),
        (
            "UPDATE message SET facts = replace(facts, 'sender', 'render')",
            "damaged: envelope checksum mismatch",
        ),
        (
            "UPDATE recipient SET facts = replace(facts, 'user', 'usar')",
            "damaged: envelope checksum mismatch",
        ),
        ("UPDATE message SET facts = x'ff00'", "damaged: JSON is malformed"),
        ("UPDATE message SET facts = CAST(x'7bff' AS TEXT)", "damaged: 'utf-8' codec can't encode"),
        ("UPDATE message SET size = CAST(x'ff' AS TEXT)", "damaged: expected '\\udcff' octets"),
        ("UPDATE recipient SET facts = CAST(x'ff' AS TEXT)", "damaged: 'utf-8' codec can't encode"),
        ("UPDATE message SET size = 'x'", "damaged: expected 'x' octets of content"),
        ("DELETE FROM content", "damaged: expected 21 octets of content"),
        ("DELETE FROM message", "damaged: envelope missing"),
        ("UPDATE recipient SET facts = '[]'", "damaged: Expected `object`, got `array`"),
        ("UPDATE recipient SET attempts = 'x'", "damaged: invalid literal for int()"),
        ("UPDATE message SET expires = 'x'", "damaged: could not convert string to float"),
    ],
)
def test_a_damaged_message_is_held_and_the_others_are_taken(store, damage, problem):
    (broken,) = put(store, new_message())
    store.connection.execute(damage)
    put(store, new_message(of=facts("s-1.2")))
    with committed(store):
        taken = store.take(NOW, 100, Claims())
    assert [job.facts.id for job in taken.jobs] == ["s-1.2"]
    assert [one.message for one in taken.damaged] == [broken]
    assert rows(store, "recipient")[0][4] is None
    assert rows(store, "recipient")[0][7].startswith(problem)
    assert len(take(store)) == 1


def test_a_damaged_destination_name_does_not_stop_others(store):
    put(store, new_message(recipient(destination="one")), new_message(recipient(destination="two")))
    store.connection.execute(
        "UPDATE destination SET name = CAST(x'6fff65' AS TEXT) WHERE name = 'one'"
    )
    assert [job.destination for job in take(store)] == ["two"]


def test_a_missing_piece_is_detected_while_reading(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (job,) = take(store)
    store.connection.execute("DELETE FROM content WHERE data = CAST('y' AS BLOB)")
    with pytest.raises(DamagedContentError, match="expected 262145 octets"):
        content(store, job)


def test_a_short_message_with_a_flipped_bit_is_held_and_the_others_are_taken(store):
    put(store, new_message(), new_message(of=facts("s-1.2")))
    flip_bit(store.connection, at=20)
    with committed(store):
        taken = store.take(NOW, 100, Claims())
    assert [job.facts.id for job in taken.jobs] == ["s-1.2"]
    assert [str(one) for one in taken.damaged] == ["message 1: content checksum mismatch"]
    assert [row[4] for row in rows(store, "recipient")] == [None, NOW]


@pytest.mark.parametrize("piece", [0, 1, 2])
@pytest.mark.parametrize("kept", [True, False])
def test_the_last_piece_of_a_long_message_with_a_flipped_bit_is_not_returned(store, piece, kept):
    put(store, new_message(content=[b"x" * CHUNK, b"y" * CHUNK, b"z"]))
    flip_bit(store.connection, piece=piece)
    (job,) = take(store)
    first = job.first if kept else b""
    pieces = store.reader.pieces(job.message, job.size, first, job.digest)
    assert len(next(pieces)) == len(next(pieces)) == CHUNK
    with pytest.raises(DamagedContentError, match="checksum mismatch"):
        next(pieces)


def test_the_content_of_a_new_message_comes_from_memory(store):
    with committed(store):
        (short,) = store.post(new_message(), NOW)
        (long,) = store.post(new_message(content=[b"x" * CHUNK, b"y"]), NOW)
    flip_bit(store.connection, short.message)
    flip_bit(store.connection, long.message)
    assert content(store, short) == b"Subject: x\r\n\r\nHello\r\n"
    assert content(store, long) == b"x" * CHUNK + b"y"


def test_content_of_the_wrong_type_is_damage(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (job,) = take(store)
    store.connection.execute("UPDATE content SET data = CAST(data AS TEXT)")
    with pytest.raises(DamagedContentError, match="expected octets"):
        content(store, job)


def test_a_message_removed_during_reading_is_not_damage(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (job,) = take(store)
    for table in ("message", "content", "recipient"):
        store.connection.execute(f"DELETE FROM {table}")
    with pytest.raises(OSError, match="has been removed") as caught:
        content(store, job)
    assert not isinstance(caught.value, DamagedContentError)


def test_a_closed_file_is_not_damage(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (job,) = take(store)
    store.reader.close()
    with pytest.raises(OSError, match="closed database") as caught:
        content(store, job)
    assert not isinstance(caught.value, DamagedContentError)


def test_a_recipient_removed_during_an_attempt_is_not_created_again(store):
    put(store, new_message())
    (job,) = take(store)
    store.connection.execute("DELETE FROM recipient")
    later = Deferred(job.recipients[0].id, NOW, "", "")
    record(store, AttemptResult(job.message, ["one"], deferred=[later]))
    assert rows(store, "message") == rows(store, "recipient") == []


def test_numbers_are_not_reused(store):
    (first,) = put(store, new_message())
    (job,) = take(store)
    record(store, delivered(job))
    (second,) = put(store, new_message())
    assert second > first


def test_only_the_owner_can_read_a_file(store):
    put(store, new_message())
    modes = {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()}
    assert modes == {0o600}


def test_a_full_file_stores_no_partial_message(tmp_path):
    path = tmp_path / "1.db"
    with store_at(path, size=1 << 20) as store:
        put(store, new_message(content=b"x" * 100_000))
        with pytest.raises(sqlite3.OperationalError, match="full"):
            put(store, new_message(content=[b"x" * CHUNK] * 8))
        (job,) = take(store)
        record(store, delivered(job))
        assert [rows(store, table) for table in ("message", "content")] == [[], []]
        put(store, new_message(content=b"y" * 100_000))
    with store_at(path) as store:
        assert content(store, take(store)[0]) == b"y" * 100_000


def test_only_committed_messages_survive_a_crash(tmp_path):
    path = tmp_path / "1.db"
    with store_at(path) as store:
        put(store, new_message())
        store.begin()
        store.put(new_message())
        crashed = {name: (tmp_path / name).read_bytes() for name in ("1.db", "1.db-wal")}
        store.roll_back()
    for name, octets in crashed.items():
        (tmp_path / name).write_bytes(octets)
    with store_at(path) as store:
        assert len(take(store)) == 1


def test_a_session_and_its_transaction_are_restored():
    session = Session(
        "s-1",
        Endpoint("192.0.2.1", 1),
        Endpoint("192.0.2.9", 25),
        NOW,
        helo="client.example",
        extended=True,
        tls=TlsFacts("TLSv1.3", "X"),
        protocol="lmtp",
        via=Endpoint("192.0.2.7"),
        xclient={"NAME": "x"},
    )
    tx = Transaction("s-1.1", session, Address.parse("ü@example.net"), {"SMTPUTF8": ""}, NOW)
    kept = message_facts(tx)
    again = transaction(kept, [])
    assert message_facts(again) == kept
    assert (again.session.helo, again.session.tls, again.params) == (
        "client.example", session.tls, {"SMTPUTF8": ""},
    )  # fmt: skip


def test_a_recipient_is_restored():
    one = Recipient(Address("postmaster", ""), {"NOTIFY": "NEVER"}, "postmaster", "")
    facts_of = recipient_facts(one)
    again = QueuedRecipient(1, facts_of, "one", 0, "", "").recipient()
    assert recipient_facts(again) == facts_of
