"""What becomes of mail in the queue: delivered, tried again, given up, told of, held."""

import asyncio
import email
import sqlite3

import pytest
from tests.queue.fakes import (
    CONTENT,
    DEAD,
    LATER,
    LOCAL,
    REFUSED,
    STRANGER,
    Bench,
    Clock,
    Target,
    message,
    recipient,
    run,
    salvaged,
    transaction,
)
from tests.queue.spool.samples import new_message, rot, store_at

from gatepost.delivery.target import DeliveryError
from gatepost.model.endpoint import Endpoint
from gatepost.queue.spool.content import CHUNK
from gatepost.queue.spool.folder import orphans
from gatepost.queue.spool.store import Store
from gatepost.queue.throttle import STRIKES

HOUR = 3600
DAY = 24 * HOUR


def test_what_is_put_is_delivered_at_once(tmp_path):
    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example", "c@two.example")
        await bench.settle()
        taken = sorted(bench.target.taken, key=lambda one: one[1])
        assert taken == [
            ("s-1.1", ["a@one.example", "b@one.example"], CONTENT),
            ("s-1.1", ["c@two.example"], CONTENT),
        ]
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario)


def test_a_temporary_failure_is_tried_again_when_it_is_time(tmp_path):
    target = Target({"one.example": [LATER, LATER, None]})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.settle()
        await bench.settle(53)
        assert len(target.tried) == 1
        await bench.settle(14)
        assert len(target.tried) == 2
        await bench.settle(260)
        assert len(target.tried) == 2
        await bench.settle(80)
        assert target.ids() == ["s-1.1"]

    run(tmp_path, scenario, target, retry=[60.0, 300.0])


def test_only_those_who_were_failed_are_tried_again(tmp_path):
    target = Target({"one.example": [{"a@one.example": LATER}, None]})

    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example")
        await bench.settle()
        await bench.settle(100)
        assert [taken[1] for taken in target.taken] == [["b@one.example"], ["a@one.example"]]

    run(tmp_path, scenario, target)


def test_a_permanent_failure_of_a_strangers_message_is_held(tmp_path):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.settle()
        assert await bench.held() == [("a@one.example", "550 5.1.1 No such user", "Refused")]
        await bench.settle(30 * DAY)
        assert len(target.tried) == 1

    run(tmp_path, scenario, target)


def notices(target, sender="sender@example.net"):
    return [email.message_from_bytes(octets) for _, to, octets in target.taken if to == [sender]]


def report(notice):
    """The fields of a notice's report: those of the message, and those of each recipient."""
    return [dict(part.items()) for part in notice.get_payload(1).get_payload()]


@pytest.mark.parametrize(
    "who", [{"peer": LOCAL}, {"peer": Endpoint("::1", 9)}, {"peer": Endpoint("local")}]
)
def test_a_local_sender_is_told_of_a_permanent_failure(tmp_path, who):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example", **who)
        await bench.settle()
        (notice,) = notices(target)
        _, of_recipient = report(notice)
        assert of_recipient["Final-Recipient"] == "rfc822; a@one.example"
        assert (of_recipient["Action"], of_recipient["Status"]) == ("failed", "5.1.1")
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(
    "who",
    [
        {"peer": LOCAL, "via": Endpoint("127.0.0.1")},
        {"peer": LOCAL, "xclient": {"NAME": "x"}},
        {"peer": LOCAL, "sender": ""},
        {"peer": Endpoint("198.51.100.1", 0)},
    ],
)
def test_nobody_else_is_told_anything(tmp_path, who):
    target = Target({"one.example": REFUSED, "two.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", "a@two.example", **who)
        for _ in range(10):
            await bench.settle(DAY)
        assert target.taken == []
        assert sorted(one[0] for one in await bench.held()) == ["a@one.example", "a@two.example"]

    run(tmp_path, scenario, target)


def test_a_message_expires_after_an_attempt(tmp_path):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        for _ in range(6):
            await bench.settle(DAY)
        delayed, failed = notices(target)
        assert report(delayed)[1]["Action"] == "delayed"
        of_recipient = report(failed)[1]
        assert (of_recipient["Action"], of_recipient["Status"]) == ("failed", "4.4.7")
        assert of_recipient["Diagnostic-Code"] == "smtp; 451 4.3.2 Busy"
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, target)


def test_messages_behind_a_dead_destination_expire_too(tmp_path):
    target = Target({"one.example": DEAD})

    async def scenario(bench):
        for number in range(30):
            await bench.put("a@one.example", peer=LOCAL, ref=f"s-1.{number}")
        await bench.settle()
        tried = len(target.tried)
        await bench.settle(5 * DAY)
        await bench.settle(1)
        assert len(notices(target)) == 30
        assert len(target.tried) - tried <= 32  # notices, and one or two probes
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, target, delay_notice=0.0)


def test_a_delay_is_told_once(tmp_path):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.settle(4 * HOUR - 1)
        assert notices(target) == []
        await bench.settle(1)
        await bench.settle(HOUR)
        assert len(notices(target)) == 1

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(
    ("notify", "told"),
    [("NEVER", []), ("FAILURE", ["failed"]), ("DELAY", ["delayed"]), ("SUCCESS", [])],
)
def test_senders_are_told_what_they_want_to_know(tmp_path, notify, told):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put(recipient("a@one.example", NOTIFY=notify), peer=LOCAL)
        for _ in range(6):
            await bench.settle(DAY)
        assert [report(one)[1]["Action"] for one in notices(target)] == told
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


ASKED = {"RET": "FULL", "ENVID": "q+1=2B"}


def test_a_sender_who_wants_to_know_is_told_once_of_each_delivery(tmp_path):
    target = Target({"one.example": [{"b@one.example": LATER}, None]})

    async def scenario(bench):
        people = [
            recipient("a@one.example", NOTIFY="SUCCESS", ORCPT="rfc822;A+x@one.example"),
            recipient("b@one.example", NOTIFY="SUCCESS,DELAY"),
            recipient("c@one.example", NOTIFY="FAILURE"),
            recipient("d@one.example", NOTIFY="NEVER"),
            recipient("e@one.example"),
            recipient("f@one.example", NOTIFY="FAILURE,SUCCESS"),
        ]
        await bench.put(*people, peer=LOCAL, params=ASKED)
        await bench.settle()
        await bench.settle(100)
        first, second = map(report, notices(target))
        assert first[0]["Original-Envelope-Id"] == "q+1=2B"
        assert [one["Final-Recipient"][8:9] for one in first[1:]] == ["a", "f"]
        assert first[1]["Original-Recipient"] == "rfc822;A+x@one.example"
        assert {(one["Action"], one["Status"]) for one in first[1:]} == {("delivered", "2.0.0")}
        assert second[1]["Final-Recipient"] == "rfc822; b@one.example"
        assert "Diagnostic-Code" not in second[1]
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(
    ("answer", "kind"), [(None, "text/rfc822-headers"), (REFUSED, "message/rfc822")]
)
def test_the_whole_message_comes_back_of_a_failure_only(tmp_path, answer, kind):
    target = Target({"one.example": answer})

    async def scenario(bench):
        one = recipient("a@one.example", NOTIFY="SUCCESS,FAILURE")
        await bench.put(one, peer=LOCAL, params=ASKED)
        await bench.settle()
        (notice,) = notices(target)
        assert notice.get_payload(2).get_content_type() == kind

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(("knows", "actions"), [(False, ["relayed"]), (True, [])])
def test_of_what_is_handed_on_the_next_hop_tells_if_it_knows_how(tmp_path, knows, actions):
    target = Target()
    target.hands_on = True
    deliver = target.deliver

    async def knowing(delivery):
        delivery.taken_on.update(delivery.recipients if knows else ())
        return await deliver(delivery)

    target.deliver = knowing

    async def scenario(bench):
        await bench.put(recipient("a@one.example", NOTIFY="SUCCESS"), peer=LOCAL)
        await bench.settle()
        assert [report(one)[1]["Action"] for one in notices(target)] == actions
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


def test_a_notice_of_a_success_that_has_no_way_is_not_held(tmp_path):
    async def scenario(bench):
        one = recipient("a@one.example", NOTIFY="SUCCESS")
        await bench.put(one, peer=LOCAL)
        await bench.settle()
        await bench.queue.report(transaction(peer=LOCAL), message(), {one: "delivered"})
        await bench.settle()
        assert len(bench.target.taken) == 1
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, patterns=["one.example"])


@pytest.mark.parametrize("who", [{"peer": STRANGER}, {"peer": LOCAL, "sender": ""}])
def test_no_stranger_is_told_of_a_success(tmp_path, who):
    async def scenario(bench):
        one = recipient("a@one.example", NOTIFY="SUCCESS")
        await bench.put(one, **who)
        await bench.settle()
        await bench.queue.report(transaction(**who), message(), {one: "delivered"})
        await bench.settle()
        assert [taken[1] for taken in bench.target.taken] == [["a@one.example"]]

    run(tmp_path, scenario)


def test_a_sender_is_told_of_what_did_not_go_by_way_of_the_queue(tmp_path):
    async def scenario(bench):
        told = {
            recipient("a@one.example", NOTIFY="SUCCESS"): "delivered",
            recipient("b@two.example", NOTIFY="SUCCESS"): "relayed",
            recipient("c@one.example", NOTIFY="SUCCESS"): "delivered",
        }
        await bench.queue.report(transaction(peer=LOCAL, params=ASKED), message(), told)
        await bench.settle()
        found = [[one["Action"] for one in report(each)[1:]] for each in notices(bench.target)]
        assert sorted(found) == [["delivered", "delivered"], ["relayed"]]
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario)


def test_a_notice_without_a_way_to_the_sender_is_held(tmp_path):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.settle()
        assert await bench.held() == [("sender@example.net", "", "no route for the sender")]

    run(tmp_path, scenario, target, patterns=["one.example"])


def test_a_notice_that_is_refused_is_held(tmp_path):
    target = Target({"one.example": REFUSED, "example.net": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.settle()
        ((address, reply, _),) = await bench.held()
        assert (address, reply) == ("sender@example.net", "550 5.1.1 No such user")

    run(tmp_path, scenario, target)


def test_what_was_tried_already_is_put_with_what_came_of_it(tmp_path):
    target = Target()

    async def scenario(bench):
        failures = {"a@one.example": LATER, "b@one.example": REFUSED}
        await bench.put("a@one.example", "b@one.example", failures=failures)
        await bench.settle()
        assert target.tried == []
        assert [one[0] for one in await bench.held()] == ["b@one.example"]
        await bench.settle(100)
        assert [taken[1] for taken in target.taken] == [["a@one.example"]]

    run(tmp_path, scenario, target)


def test_a_local_sender_is_told_of_what_was_tried_already(tmp_path):
    async def scenario(bench):
        await bench.put("b@one.example", failures={"b@one.example": REFUSED}, peer=LOCAL)
        await bench.settle()
        (notice,) = notices(bench.target)
        assert notice.get_payload(2).get_payload() == "Subject: x\r\nX-Y: z\r\n"
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario)


def test_a_dead_destination_is_probed_by_one_message(tmp_path):
    target = Target({"dead.example": DEAD})

    async def scenario(bench):
        for number in range(100):
            await bench.put("a@dead.example", ref=f"s-1.{number}")
        await bench.settle()
        tried = len(target.tried)
        assert STRIKES <= tried <= 20 + STRIKES
        for wait in (70, 340, 1000):
            await bench.settle(wait)
            tried += 1
            assert len(target.tried) == tried
        await bench.put("b@dead.example", ref="s-1.new")
        await bench.settle()
        assert len(target.tried) == tried
        target.answers.clear()
        await bench.settle(2000)
        await bench.settle(2 * HOUR)
        assert len(set(target.ids())) == len(target.ids()) == 101

    run(tmp_path, scenario, target)


def test_one_bad_mailbox_does_not_stop_its_neighbours(tmp_path):
    class Disk(Target):
        def destination(self, recipient):
            return "disk"

    target = Disk({"bad.example": DEAD})

    async def scenario(bench):
        for number in range(40):
            await bench.put(f"a@{'bad' if number % 2 else 'good'}.example", ref=f"s-1.{number}")
            await bench.settle()
        assert len(target.taken) == 20

    run(tmp_path, scenario, target)


def test_concurrency_is_limited_in_all_and_for_each(tmp_path):
    gate = asyncio.Event()
    domains = [f"{number}.example" for number in range(5)]
    target = Target(dict.fromkeys(domains, gate))

    async def scenario(bench):
        for number in range(20):
            for domain in domains:
                await bench.put(f"a@{domain}", ref=f"{domain}-{number}")
        await bench.settle()
        assert sum(target.now.values()) == 7
        assert sorted(target.now.values()) == [1, 1, 1, 2, 2]
        gate.set()
        await bench.settle()
        assert len(target.taken) == 100
        assert max(target.most.values()) <= 3

    run(tmp_path, scenario, target, concurrency=7, concurrency_per_destination=3)


def test_a_slow_destination_delays_no_other(tmp_path):
    never = asyncio.Event()
    target = Target({"slow.example": never})

    async def scenario(bench):
        for number in range(50):
            await bench.put("a@slow.example", ref=f"slow-{number}")
        await bench.settle()
        for number in range(30):
            await bench.put("a@fast.example", ref=f"fast-{number}")
        await bench.settle()
        assert len(target.taken) == 30
        never.set()

    run(tmp_path, scenario, target, concurrency=10, concurrency_per_destination=5)


def test_a_clock_that_jumps_back_stalls_nothing(tmp_path):
    target = Target({"one.example": [LATER, None], "dead.example": [DEAD] * STRIKES + [None]})

    async def scenario(bench):
        await bench.put("a@one.example")
        for number in range(STRIKES):
            await bench.put("a@dead.example", ref=f"s-1.{number}")
            await bench.settle()
        bench.clock.move(-400 * DAY)
        await bench.settle()
        await bench.settle()
        assert len(target.taken) == 1 + STRIKES

    run(tmp_path, scenario, target)


def test_a_route_that_changed_changes_the_destination(tmp_path):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.settle()
        target.destination = lambda recipient: "elsewhere"
        target.answers.clear()
        await bench.settle(100)
        assert len(target.taken) == 1

    run(tmp_path, scenario, target)


def test_without_a_route_mail_waits_for_one(tmp_path):
    async def scenario(bench):
        await bench.put("a@two.example")
        await bench.settle()
        assert await bench.queued() == [(1,)]

    run(tmp_path, scenario, patterns=["one.example"])


def test_a_target_that_breaks_loses_nothing(tmp_path):
    target = Target({"one.example": [RuntimeError("broken"), None]})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.settle()
        await bench.settle(100)
        assert target.ids() == ["s-1.1"]

    run(tmp_path, scenario, target)


def test_what_is_on_its_way_at_a_stop_is_there_at_the_next_start(tmp_path):
    never = asyncio.Event()

    async def first(bench):
        await bench.put("a@one.example")
        await bench.settle()
        bench.queue.stop = lambda patience, stop=bench.queue.stop: stop(0)

    run(tmp_path, first, Target({"one.example": never}))

    async def second(bench):
        await bench.settle()
        assert bench.target.ids() == ["s-1.1"]

    run(tmp_path, second)


def test_a_stop_waits_for_what_is_on_its_way(tmp_path):
    gate = asyncio.Event()
    target = Target({"one.example": gate})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.settle()
        asyncio.get_running_loop().call_soon(gate.set)

    run(tmp_path, scenario, target)
    assert target.ids() == ["s-1.1"]


def test_a_full_spool_is_452_and_mail_flows_again_when_there_is_room(tmp_path):
    gate = asyncio.Event()
    target = Target({"one.example": gate})

    async def scenario(bench):
        async def fill():
            for number in range(100):
                await bench.put("a@one.example", content=b"x" * 50_000)
                taken.append(number)

        taken = []
        with pytest.raises(DeliveryError) as caught:
            await fill()
        assert str(caught.value.reply).startswith("452 4.3.1")
        assert not caught.value.permanent
        gate.set()
        await bench.settle()
        assert len(target.taken) == len(taken)
        await bench.put("a@one.example", content=b"x" * 50_000)

    run(tmp_path, scenario, target, spool_size=1 << 20)


def test_what_cannot_be_written_down_is_not_delivered_again(tmp_path, monkeypatch):
    real, attempts = Store.settle, []

    def settle(store, settlement):
        attempts.append(settlement)
        if len(attempts) < 4:
            raise sqlite3.OperationalError("database or disk is full")
        real(store, settlement)

    monkeypatch.setattr(Store, "settle", settle)
    monkeypatch.setattr("gatepost.queue.runner.PAUSE", 0.0)

    async def scenario(bench):
        await bench.put("a@one.example")
        while len(attempts) < 4:
            await bench.settle()
        await bench.settle()
        assert len(bench.target.tried) == 1
        assert await bench.rows("SELECT 1 FROM message") == []

    run(tmp_path, scenario)


def refs(count):
    return [f"s-1.{number}" for number in range(count)]


async def tick(bench):
    bench.runner.tick()
    for _ in range(5):
        await bench.runner.writer.submit(lambda store: None)
        await asyncio.sleep(0)


def test_while_nothing_can_be_written_down_few_messages_are_delivered(make_disk, monkeypatch):
    """They come again if the machine fails then, and memory has to know them until it can be."""
    monkeypatch.setattr("gatepost.queue.runner.PAUSE", 0.1)
    own, count, concurrency = make_disk(16), 50, 3
    target = Target({"one.example": [LATER] * count + [None]})

    async def scenario(bench):
        for ref in refs(count):
            await bench.put("a@one.example", ref=ref)
        await bench.settle()
        with own.full():
            bench.clock.move(HOUR)
            ticks = 0
            while len(target.taken) < 2 * concurrency:
                await tick(bench)
                ticks += 1
            assert len(target.taken) <= 2 * concurrency + ticks
        while await bench.rows("SELECT 1 FROM message"):
            await bench.settle()
        assert sorted(target.ids()) == sorted(refs(count))

    run(own.root, scenario, target, concurrency=concurrency)


def test_a_notice_for_which_there_is_no_room_stops_nobody(tmp_path, monkeypatch):
    """What is delivered makes room for it."""
    real, waiting = Store.settle, [True]

    def settle(store, settlement):
        if settlement.new_messages and waiting:
            raise sqlite3.OperationalError("database or disk is full")
        real(store, settlement)

    monkeypatch.setattr(Store, "settle", settle)
    target = Target({"one.example": LATER, "two.example": [LATER, LATER, None]})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.put("a@two.example", ref="s-1.2")
        await bench.settle()
        await bench.settle(5 * HOUR)  # the delay notice is due
        await bench.settle(5 * HOUR)
        assert target.ids() == ["s-1.2"]
        waiting.clear()
        await bench.settle()
        assert len(notices(target)) == 1

    run(tmp_path, scenario, target)


def test_files_of_others_that_are_gone_are_adopted_drained_and_removed(tmp_path):
    async def scenario(bench):
        async with Bench(tmp_path, Target({"one.example": LATER})) as other:
            await other.put("a@one.example")
            await other.settle()
            await bench.queue.adopt()
            assert len(bench.queue._running) == 1
        await bench.queue.adopt()
        bench.clock.move(100)
        adopted = bench.queue._running[1].runner
        while not bench.target.taken:
            adopted.tick()
            await asyncio.sleep(0)
        while not adopted.is_idle:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await bench.queue.adopt()
        assert sorted(path.name for path in (tmp_path / "spool").glob("*.db")) == ["1.db"]

    run(tmp_path, scenario)


def test_a_file_that_cannot_be_opened_keeps_nobody_from_the_others(tmp_path):
    spool = tmp_path / "spool"

    async def scenario(bench):
        with sqlite3.connect(spool / "2.db") as later:
            later.execute("PRAGMA user_version = 99")
        later.close()
        with store_at(spool / "3.db") as store:
            store.begin()
            store.put(new_message())
            store.commit()
        await bench.queue.adopt()
        assert [one.claimed.number for one in bench.queue._running] == [1, 3]
        (left,) = orphans(spool)
        assert left.number == 2
        left.release()

    run(tmp_path, scenario)


LONG = b"x" * CHUNK + b"y"
WRONG = "damaged: the content is not what was put into the spool"


@pytest.mark.parametrize("who", [LOCAL, STRANGER])
def test_a_message_found_damaged_while_it_is_delivered_is_held(tmp_path, who):
    target = Target({"one.example": [LATER, None]})

    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example", content=LONG, peer=who)
        await bench.put("a@two.example", ref="s-1.2")
        await bench.settle()
        await bench.runner.writer.submit(lambda store: rot(store.connection, piece=1))
        for _ in range(10):
            await bench.settle(DAY)
        assert await bench.held() == [("a@one.example", "", WRONG), ("b@one.example", "", WRONG)]
        assert target.ids() == ["s-1.2"]
        assert len(target.tried) == 3

    run(tmp_path, scenario, target)


def test_damage_is_not_the_destinations_fault(tmp_path):
    target = Target({"one.example": [*[LATER] * STRIKES, None]})

    async def scenario(bench):
        for number in range(STRIKES):
            await bench.put("a@one.example", ref=f"s-1.{number}", content=LONG)
        await bench.settle()
        for number in range(STRIKES):
            await bench.runner.writer.submit(lambda store, at=number: rot(store.connection, at + 1))
        await bench.settle(100)
        assert len(await bench.held()) == STRIKES
        await bench.put("a@one.example", ref="s-1.well")
        await bench.settle()
        assert target.ids() == ["s-1.well"]

    run(tmp_path, scenario, target)


@pytest.mark.parametrize("broken", ["header", "all"])
def test_a_damaged_file_gives_way_to_a_new_one(tmp_path, broken):
    async def first(bench):
        await bench.put("a@one.example")
        await bench.settle()

    run(tmp_path, first, Target({"one.example": LATER}))
    path = tmp_path / "spool" / "1.db"
    octets = path.read_bytes()
    path.write_bytes(b"\0" * 100 + octets[100:] if broken == "header" else b"x" * 5000)

    async def second(bench):
        await bench.put("b@one.example", ref="s-1.2")
        await bench.settle()
        assert bench.target.ids() == ["s-1.2"]
        await salvaged(bench)

    run(tmp_path, second)
    assert len(list((tmp_path / "spool").glob("1.db.damaged-*-unreadable"))) == 1


def test_what_can_be_read_of_a_file_damaged_while_it_is_used_is_delivered(tmp_path):
    target = Target({"one.example": [LATER] * 5 + [None]})

    async def scenario(bench):
        for number in range(5):
            await bench.put("a@one.example", ref=f"s-1.{number}")
            await bench.settle()

        def damage(store):
            if store.path.exists() and not store.path.with_name("done").exists():
                store.path.with_name("done").touch()
                error = sqlite3.DatabaseError("malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error

        await bench.runner.writer.submit(damage)
        await salvaged(bench)
        assert await bench.queued() == [(5,)]
        await bench.settle(HOUR)
        assert sorted(target.ids()) == [f"s-1.{number}" for number in range(5)]

    run(tmp_path, scenario, target)


def test_clock_is_moved_by_hand():
    clock = Clock()
    clock.move(5)
    assert clock.time() == Clock().time() + 5
