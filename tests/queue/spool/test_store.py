"""One spool file: what is put is found again, whole, in its turn, until it is settled."""

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
    done,
    facts,
    new_message,
    put,
    recipient,
    rot,
    settle,
    store_at,
    take,
)

from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Recipient, Session, TlsFacts, Transaction
from gatepost.queue.spool.content import CHUNK, DamagedError
from gatepost.queue.spool.records import (
    AttemptResult,
    Deferred,
    Held,
    QueuedRecipient,
    message_facts,
    recipient_facts,
    transaction,
)


def addresses(work):
    return [str(one.facts.address) for one in work.recipients]


def messages(works):
    return [work.message for work in works]


def rows(store, table):
    return store.connection.execute(f"SELECT * FROM {table}").fetchall()


def test_what_is_put_is_taken(store):
    put(store, new_message(recipient("a@example.com"), recipient("b@example.com")))
    (work,) = take(store)
    assert addresses(work) == ["a@example.com", "b@example.com"]
    assert work.facts == facts()
    assert content(store, work) == b"Subject: x\r\n\r\nHello\r\n"
    assert work.recipients[0].recipient().address == Address.parse("a@example.com")


def test_what_is_settled_is_gone_without_a_trace(store):
    put(store, new_message())
    (work,) = take(store)
    settle(store, done(work))
    assert take(store) == []
    assert [rows(store, table) for table in ("message", "content", "recipient", "destination")] == [
        []
    ] * 4
    with committed(store):
        assert store.is_empty()


def test_a_message_stays_until_its_last_recipient_is_settled(store):
    put(store, new_message(recipient("a@example.com", "one"), recipient("b@example.com", "two")))
    first, second = take(store)
    settle(store, done(first))
    assert content(store, second)
    (again,) = take(store)
    assert again.destination == second.destination
    settle(store, done(again))
    assert rows(store, "message") == []


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_content_of_any_size_comes_back_in_bounded_pieces(store, size):
    octets = os.urandom(size)
    put(store, new_message(content=[octets[:10], octets[10:]]))
    (work,) = take(store)
    pieces = list(store.reader.pieces(work.message, work.size))
    assert b"".join(pieces) == octets
    assert content(store, work) == octets
    assert all(len(piece) <= CHUNK for piece in pieces)
    settle(store, done(work))
    assert rows(store, "content") == []


def test_a_message_that_is_not_as_long_as_it_should_be_is_not_stored(store):
    short = msgspec.structs.replace(new_message(content=b"whole"), pieces=[b"who"])
    with pytest.raises(DeliveryError, match="expected 5 octets of message, found 3"):
        put(store, short)
    assert rows(store, "message") == rows(store, "content") == []


def test_what_is_on_its_way_is_not_taken_again(store):
    put(store, new_message(), new_message())
    claims = Claims()
    assert len(take(store, claims=claims)) == 2
    assert take(store, claims=claims) == []
    claims.taken.clear()  # as after a crash
    assert len(take(store, claims=claims)) == 2


def test_work_is_taken_when_it_is_due_and_not_before(store):
    put(store, new_message(recipient(due=NOW + 60)))
    assert take(store, NOW + 59) == []
    assert len(take(store, NOW + 60)) == 1


def test_a_deferred_recipient_comes_back_with_what_was_said(store):
    put(store, new_message(recipient("a@example.com"), recipient("b@example.com")))
    (work,) = take(store)
    a, b = work.recipients
    later = Deferred(a.id, NOW + 300, "451 4.3.0 Later", "host said so")
    settle(store, AttemptResult(work.message, ["one"], done=[b.id], deferred=[later]))
    assert take(store, NOW + 299) == []
    (again,) = take(store, NOW + 300)
    (found,) = again.recipients
    assert (found.attempts, found.reply, found.reason) == (1, "451 4.3.0 Later", "host said so")
    assert addresses(again) == ["a@example.com"]


def test_a_held_recipient_is_not_taken(store):
    put(store, new_message(event=NOW + 5))
    (work,) = take(store)
    held = [Held(work.recipients[0].id, "550 5.1.1 Unknown", "refused")]
    settle(store, AttemptResult(work.message, ["one"], held=held))
    assert take(store, NOW + HORIZON) == []
    with committed(store):
        assert store.elapsed(NOW + 5, NOW + HORIZON, 9).works == []
    assert [row[4] for row in rows(store, "recipient")] == [None]


def test_who_has_the_least_on_its_way_comes_first(store):
    put(store, *[new_message(recipient(destination="busy")) for _ in range(30)])
    put(store, new_message(recipient(destination="other", due=NOW + 1)))
    claims = Claims(limit=3)
    assert [work.destination for work in take(store, NOW + 1, claims=claims)] == [
        "busy", "other", "busy", "busy",
    ]  # fmt: skip
    put(store, new_message(recipient(destination="third", due=NOW + 2)))
    assert [work.destination for work in take(store, NOW + 2, claims=claims)] == ["third"]


def test_a_total_is_dealt_out_evenly(store):
    for name in ("one", "two", "three"):
        put(store, *[new_message(recipient(destination=name)) for _ in range(10)])
    names = [work.destination for work in take(store, total=6)]
    assert sorted(names) == ["one", "one", "three", "three", "two", "two"]


def test_a_destination_is_left_alone_until_it_opens(tmp_path):
    opens = {"dead": NOW + 600}
    with store_at(tmp_path / "1.db", opens=lambda name: opens.get(name, 0.0)) as store:
        put(
            store,
            new_message(recipient(destination="dead")),
            new_message(recipient(destination="fine")),
        )
        assert [work.destination for work in take(store)] == ["fine"]
        assert "dead" in [work.destination for work in take(store, NOW + 600)]


def test_a_clock_that_jumps_back_stops_nothing(store):
    put(store, new_message(recipient(due=NOW + 60), event=NOW + 100))
    long_before = NOW - 10 * HORIZON
    assert len(take(store, long_before)) == 1
    with committed(store):
        assert len(store.elapsed(long_before, long_before + HORIZON, 9).works) == 1


def test_events_come_in_their_order(store):
    numbers = put(store, *[new_message(event=NOW + at) for at in (30, 10, 20)])
    with committed(store):
        assert messages(store.elapsed(NOW + 20, NOW + HORIZON, 9).works) == [numbers[1], numbers[2]]


def test_a_message_for_nobody_is_forgotten_when_its_time_comes(store):
    put(store, new_message(event=NOW))
    store.connection.execute("DELETE FROM recipient")
    with committed(store):
        assert store.elapsed(NOW, NOW + HORIZON, 9).works == []
    assert rows(store, "message") == rows(store, "content") == []


def test_an_event_can_be_moved(store):
    (number,) = put(store, new_message(event=NOW))
    settle(store, AttemptResult(number, [], event=NOW + 50))
    with committed(store):
        assert store.elapsed(NOW + 49, NOW + HORIZON, 9).works == []
        assert messages(store.elapsed(NOW + 50, NOW + HORIZON, 9).works) == [number]


def test_notices_are_put_together_with_what_they_are_about(store):
    put(store, new_message())
    (work,) = take(store)
    notice = new_message(recipient("sender@example.net", "back"), of=facts("s-1.1-1", ""))
    settlement = AttemptResult(
        work.message, ["one"], done=[work.recipients[0].id], new_messages=[notice]
    )
    settle(store, settlement)
    (found,) = take(store)
    assert (found.destination, found.facts.id) == ("back", "s-1.1-1")


def test_recipients_move_to_another_destination(store):
    put(store, new_message())
    (work,) = take(store)
    with committed(store):
        store.move([work.recipients[0].id], "one", "two")
    (again,) = take(store)
    assert again.destination == "two"


def test_the_administrators_now_reopens_a_destination(store):
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
        ("UPDATE message SET facts = x'ff00'", "damaged: JSON is malformed"),
        ("UPDATE message SET facts = CAST(x'7bff' AS TEXT)", "damaged: 'utf-8' codec can't encode"),
        ("UPDATE message SET size = CAST(x'ff' AS TEXT)", "damaged: expected '\\udcff' octets"),
        ("UPDATE recipient SET facts = CAST(x'ff' AS TEXT)", "damaged: 'utf-8' codec can't encode"),
        ("UPDATE message SET size = 'x'", "damaged: expected 'x' octets of content"),
        ("DELETE FROM content", "damaged: expected 21 octets of content"),
        ("DELETE FROM message", "damaged: its envelope is gone"),
        ("UPDATE recipient SET facts = '[]'", "damaged: Expected `object`, got `array`"),
        ("UPDATE recipient SET attempts = 'x'", "damaged: invalid literal for int()"),
        ("UPDATE message SET expires = 'x'", "damaged: could not convert string to float"),
    ],
)
def test_a_damaged_row_is_held_and_the_rest_goes_on(store, damage, problem):
    (broken,) = put(store, new_message())
    store.connection.execute(damage)
    put(store, new_message(of=facts("s-1.2")))
    with committed(store):
        taken = store.take(NOW, 100, Claims())
    assert [work.facts.id for work in taken.works] == ["s-1.2"]
    assert [one.message for one in taken.damaged] == [broken]
    assert rows(store, "recipient")[0][4] is None
    assert rows(store, "recipient")[0][7].startswith(problem)
    assert len(take(store)) == 1


def test_a_destination_whose_name_is_damaged_stops_no_other(store):
    put(store, new_message(recipient(destination="one")), new_message(recipient(destination="two")))
    store.connection.execute(
        "UPDATE destination SET name = CAST(x'6fff65' AS TEXT) WHERE name = 'one'"
    )
    assert [work.destination for work in take(store)] == ["two"]


def test_a_piece_that_is_gone_is_noticed_while_reading(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (work,) = take(store)
    store.connection.execute("DELETE FROM content WHERE data = CAST('y' AS BLOB)")
    with pytest.raises(DamagedError, match="expected 262145 octets"):
        content(store, work)


def test_a_short_message_with_a_bit_turned_over_is_held_and_the_rest_goes_on(store):
    put(store, new_message(), new_message(of=facts("s-1.2")))
    rot(store.connection, at=20)
    with committed(store):
        taken = store.take(NOW, 100, Claims())
    assert [work.facts.id for work in taken.works] == ["s-1.2"]
    assert [str(one) for one in taken.damaged] == [
        "message 1: the content is not what was put into the spool"
    ]
    assert [row[4] for row in rows(store, "recipient")] == [None, NOW]


@pytest.mark.parametrize("piece", [0, 1, 2])
@pytest.mark.parametrize("kept", [True, False])
def test_the_end_of_a_long_message_with_a_bit_turned_over_is_not_handed_out(store, piece, kept):
    put(store, new_message(content=[b"x" * CHUNK, b"y" * CHUNK, b"z"]))
    rot(store.connection, piece=piece)
    (work,) = take(store)
    first = work.first if kept else b""
    pieces = store.reader.pieces(work.message, work.size, first, work.digest)
    assert len(next(pieces)) == len(next(pieces)) == CHUNK
    with pytest.raises(DamagedError, match="not what was put"):
        next(pieces)


def test_a_message_just_put_is_as_whole_from_memory_as_from_the_file(store):
    with committed(store):
        (short,) = store.post(new_message(), NOW)
        (long,) = store.post(new_message(content=[b"x" * CHUNK, b"y"]), NOW)
    rot(store.connection, short.message)
    rot(store.connection, long.message)
    assert content(store, short) == b"Subject: x\r\n\r\nHello\r\n"
    assert content(store, long) == b"x" * CHUNK + b"y"


def test_octets_that_have_become_text_are_noticed(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (work,) = take(store)
    store.connection.execute("UPDATE content SET data = CAST(data AS TEXT)")
    with pytest.raises(DamagedError, match="expected octets"):
        content(store, work)


def test_a_message_that_was_removed_while_it_was_read_is_not_damaged(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (work,) = take(store)
    for table in ("message", "content", "recipient"):
        store.connection.execute(f"DELETE FROM {table}")
    with pytest.raises(OSError, match="has been removed") as caught:
        content(store, work)
    assert not isinstance(caught.value, DamagedError)


def test_a_file_that_was_closed_is_not_damage(store):
    put(store, new_message(content=[b"x" * CHUNK, b"y"]))
    (work,) = take(store)
    store.reader.close()
    with pytest.raises(OSError, match="closed database") as caught:
        content(store, work)
    assert not isinstance(caught.value, DamagedError)


def test_what_an_administrator_removed_meanwhile_stays_away(store):
    put(store, new_message())
    (work,) = take(store)
    store.connection.execute("DELETE FROM recipient")
    later = Deferred(work.recipients[0].id, NOW, "", "")
    settle(store, AttemptResult(work.message, ["one"], deferred=[later]))
    assert rows(store, "message") == rows(store, "recipient") == []


def test_numbers_are_never_given_twice(store):
    (first,) = put(store, new_message())
    (work,) = take(store)
    settle(store, done(work))
    (second,) = put(store, new_message())
    assert second > first


def test_a_file_is_its_owners_alone(store):
    put(store, new_message())
    modes = {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()}
    assert modes == {0o600}


def test_a_full_file_takes_nothing_half(tmp_path):
    path = tmp_path / "1.db"
    with store_at(path, size=1 << 20) as store:
        put(store, new_message(content=b"x" * 100_000))
        with pytest.raises(sqlite3.OperationalError, match="full"):
            put(store, new_message(content=[b"x" * CHUNK] * 8))
        (work,) = take(store)
        settle(store, done(work))
        assert [rows(store, table) for table in ("message", "content")] == [[], []]
        put(store, new_message(content=b"y" * 100_000))
    with store_at(path) as store:
        assert content(store, take(store)[0]) == b"y" * 100_000


def test_what_is_committed_outlives_the_process_and_the_rest_does_not(tmp_path):
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


def test_a_session_and_its_transaction_come_back():
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


def test_a_recipient_comes_back():
    one = Recipient(Address("postmaster", ""), {"NOTIFY": "NEVER"}, "postmaster", "")
    facts_of = recipient_facts(one)
    again = QueuedRecipient(1, facts_of, "one", 0, "", "").recipient()
    assert recipient_facts(again) == facts_of
