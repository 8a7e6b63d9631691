"""Mail in the queue is delivered, retried, bounced with a DSN, or held."""

import asyncio
import email
import sqlite3

import pytest
from structlog.testing import capture_logs
from tests.queue.fakes import (
    CONTENT,
    DEAD,
    LATER,
    LOCAL,
    REFUSED,
    UNTRUSTED,
    Bench,
    Clock,
    Target,
    message,
    recipient,
    recovered,
    run,
    transaction,
)
from tests.queue.spool.samples import flip_bit, new_message, store_at
from tests.waiting import until

from gatepost.delivery.target import DeliveryError
from gatepost.model.endpoint import Endpoint
from gatepost.queue.spool.folder import orphans
from gatepost.queue.spool.sql.content import CHUNK
from gatepost.queue.spool.store import Store
from gatepost.queue.throttle import FAILURES

HOUR = 3600
DAY = 24 * HOUR


def test_a_new_message_is_delivered_at_once(tmp_path):
    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example", "c@two.example")
        await bench.run_until_idle()
        taken = sorted(bench.target.delivered, key=lambda one: one[1])
        assert taken == [
            ("s-1.1", ["a@one.example", "b@one.example"], CONTENT),
            ("s-1.1", ["c@two.example"], CONTENT),
        ]
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario)


def test_a_temporary_failure_is_retried_by_the_schedule(tmp_path):
    target = Target({"one.example": [LATER, LATER, None]})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        await bench.run_until_idle(53)
        assert len(target.tried) == 1
        await bench.run_until_idle(14)
        assert len(target.tried) == 2
        await bench.run_until_idle(260)
        assert len(target.tried) == 2
        await bench.run_until_idle(80)
        assert target.refs() == ["s-1.1"]

    run(tmp_path, scenario, target, retry=[60.0, 300.0])


def test_only_failed_recipients_are_retried(tmp_path):
    target = Target({"one.example": [{"a@one.example": LATER}, None]})

    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example")
        await bench.run_until_idle()
        await bench.run_until_idle(100)
        assert [taken[1] for taken in target.delivered] == [["b@one.example"], ["a@one.example"]]

    run(tmp_path, scenario, target)


def test_a_permanent_failure_of_an_untrusted_sender_is_held(tmp_path):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        assert await bench.held() == [("a@one.example", "550 5.1.1 No such user", "Refused")]
        await bench.run_until_idle(30 * DAY)
        assert len(target.tried) == 1

    run(tmp_path, scenario, target)


def dsns(target, sender="sender@example.net"):
    return [
        email.message_from_bytes(octets) for _, to, octets in target.delivered if to == [sender]
    ]


def report(dsn):
    """Return the fields of a DSN: those of the message, then those of each recipient."""
    return [dict(part.items()) for part in dsn.get_payload(1).get_payload()]


@pytest.mark.parametrize(
    "client",
    [
        {"peer": LOCAL},
        {"peer": Endpoint("::1", 9)},
        {"peer": Endpoint("local")},
        {"peer": Endpoint("192.0.2.7"), "in_relay_network": True},
    ],
)
def test_a_local_sender_gets_a_dsn_about_a_permanent_failure(tmp_path, client):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example", **client)
        await bench.run_until_idle()
        (dsn,) = dsns(target)
        _, of_recipient = report(dsn)
        assert of_recipient["Final-Recipient"] == "rfc822; a@one.example"
        assert (of_recipient["Action"], of_recipient["Status"]) == ("failed", "5.1.1")
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


def test_a_dsn_gets_the_fields_of_plugins(tmp_path):
    target, seen = Target({"one.example": REFUSED}), []

    def added_fields(content):
        seen.append(content)
        return [("DKIM-Signature", "v=1"), ("X-Second", "yes")]

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.run_until_idle()
        (dsn,) = dsns(target)
        assert dsn.items()[:2] == [("DKIM-Signature", "v=1"), ("X-Second", "yes")]
        assert dsn["From"] in seen[0].decode()

    run(tmp_path, scenario, target, added_fields=added_fields)


@pytest.mark.parametrize(
    "client",
    [
        {"peer": LOCAL, "via": Endpoint("127.0.0.1")},
        {"peer": LOCAL, "xclient": {"NAME": "x"}},
        {"peer": LOCAL, "sender": ""},
        {"peer": Endpoint("198.51.100.1", 0)},
    ],
)
def test_untrusted_senders_get_no_dsn(tmp_path, client):
    target = Target({"one.example": REFUSED, "two.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", "a@two.example", **client)
        for _ in range(10):
            await bench.run_until_idle(DAY)
        assert target.delivered == []
        assert sorted(one[0] for one in await bench.held()) == ["a@one.example", "a@two.example"]

    run(tmp_path, scenario, target)


def test_a_message_expires_after_an_attempt(tmp_path):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        for _ in range(6):
            await bench.run_until_idle(DAY)
        delayed, failed = dsns(target)
        assert report(delayed)[1]["Action"] == "delayed"
        of_recipient = report(failed)[1]
        assert (of_recipient["Action"], of_recipient["Status"]) == ("failed", "4.4.7")
        assert of_recipient["Diagnostic-Code"] == "smtp; 451 4.3.2 Busy"
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, target)


def test_messages_for_a_suspended_destination_expire(tmp_path):
    target = Target({"one.example": DEAD})

    async def scenario(bench):
        for number in range(30):
            await bench.put("a@one.example", peer=LOCAL, ref=f"s-1.{number}")
        await bench.run_until_idle()
        tried = len(target.tried)
        await bench.run_until_idle(5 * DAY)
        await bench.run_until_idle(1)
        assert len(dsns(target)) == 30
        assert len(target.tried) - tried <= 32  # DSNs, and one or two probes
        assert await bench.queued() == [(0,)]

    run(tmp_path, scenario, target, delay_notice=0.0)


def test_a_delay_dsn_is_sent_once(tmp_path):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.run_until_idle(4 * HOUR - 1)
        assert dsns(target) == []
        await bench.run_until_idle(1)
        await bench.run_until_idle(HOUR)
        assert len(dsns(target)) == 1

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(
    ("notify", "expected"),
    [("NEVER", []), ("FAILURE", ["failed"]), ("DELAY", ["delayed"]), ("SUCCESS", [])],
)
def test_notify_selects_the_reported_events(tmp_path, notify, expected):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put(recipient("a@one.example", NOTIFY=notify), peer=LOCAL)
        for _ in range(6):
            await bench.run_until_idle(DAY)
        assert [report(one)[1]["Action"] for one in dsns(target)] == expected
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


ASKED = {"RET": "FULL", "ENVID": "q+1=2B"}


def test_a_success_dsn_is_sent_once_per_delivery(tmp_path):
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
        await bench.run_until_idle()
        await bench.run_until_idle(100)
        first, second = map(report, dsns(target))
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
def test_only_a_failure_dsn_has_the_whole_message(tmp_path, answer, kind):
    target = Target({"one.example": answer})

    async def scenario(bench):
        one = recipient("a@one.example", NOTIFY="SUCCESS,FAILURE")
        await bench.put(one, peer=LOCAL, params=ASKED)
        await bench.run_until_idle()
        (dsn,) = dsns(target)
        assert dsn.get_payload(2).get_content_type() == kind

    run(tmp_path, scenario, target)


@pytest.mark.parametrize("failures", [None, {"a@one.example": REFUSED}], ids=["later", "at once"])
def test_a_dsn_has_the_message_as_edited(tmp_path, failures):
    target = Target({"one.example": REFUSED})

    def edit(message):
        message.replace_header("Subject", "[EXT] x")
        message.remove_header("X-Y")
        message.replace_body(b"other\r\n")

    async def scenario(bench):
        options = {"peer": LOCAL, "params": ASKED, "edit": edit}
        await bench.put("a@one.example", failures=failures, **options)
        await bench.run_until_idle()
        (dsn,) = dsns(target)
        quoted = dsn.get_payload(2).as_string().partition("\n\n")[2].strip()
        assert "".join(quoted.splitlines()) == "Subject: [EXT] x" + ("" if failures else "other")

    run(tmp_path, scenario, target)


@pytest.mark.parametrize(("takes_over", "actions"), [(False, ["relayed"]), (True, [])])
def test_a_next_hop_with_dsn_support_reports_the_success_itself(tmp_path, takes_over, actions):
    target = Target()
    target.final_delivery = False
    deliver = target.deliver

    async def taking_over(delivery):
        delivery.dsn_delegated.update(delivery.recipients if takes_over else ())
        return await deliver(delivery)

    target.deliver = taking_over

    async def scenario(bench):
        await bench.put(recipient("a@one.example", NOTIFY="SUCCESS"), peer=LOCAL)
        await bench.run_until_idle()
        assert [report(one)[1]["Action"] for one in dsns(target)] == actions
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, target)


def test_a_success_dsn_without_a_route_is_not_held(tmp_path):
    async def scenario(bench):
        one = recipient("a@one.example", NOTIFY="SUCCESS")
        await bench.put(one, peer=LOCAL)
        await bench.run_until_idle()
        await bench.queue.report_successes(transaction(peer=LOCAL), message(), {one: "delivered"})
        await bench.run_until_idle()
        assert len(bench.target.delivered) == 1
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, patterns=["one.example"])


# Patterns of a route, whether it relays, and whether it is for boss@elsewhere.example.
ROUTES = [
    (["*"], False, False),
    (["*"], True, True),
    (["*", "elsewhere.example"], False, True),
    (["one.example", "boss@elsewhere.example"], False, True),
    (["one.example", "staff@elsewhere.example"], False, False),
]
BOSS = {"peer": LOCAL, "sender": "boss@elsewhere.example"}


@pytest.mark.parametrize(("patterns", "relays", "dsn"), ROUTES)
@pytest.mark.parametrize("direct", [False, True])
def test_a_success_dsn_needs_a_route_for_the_domain(tmp_path, patterns, relays, dsn, direct):
    one = recipient("a@one.example", NOTIFY="SUCCESS")

    async def scenario(bench):
        if direct:
            report = {one: "delivered"}
            await bench.queue.report_successes(transaction(**BOSS), message(), report)
        else:
            await bench.put(one, **BOSS)
        await bench.run_until_idle()
        found = [taken[1] for taken in bench.target.delivered if taken[1] != ["a@one.example"]]
        assert found == [["boss@elsewhere.example"]] * dsn
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, patterns=patterns, relays=relays)


@pytest.mark.parametrize(("patterns", "relays", "dsn"), ROUTES)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_failure_dsn_without_a_route_for_the_domain_is_held(
    tmp_path, patterns, relays, dsn, earlier
):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        failures = {"a@one.example": REFUSED} if earlier else {}
        await bench.put("a@one.example", failures=failures, **BOSS)
        await bench.run_until_idle()
        assert [taken[1] for taken in target.delivered] == [["boss@elsewhere.example"]] * dsn
        held = [] if dsn else [("boss@elsewhere.example", "", "no route to the sender")]
        assert await bench.held() == held

    run(tmp_path, scenario, target, patterns=patterns, relays=relays)


@pytest.mark.parametrize(("patterns", "relays", "dsn"), ROUTES)
def test_a_delay_dsn_needs_a_route_for_the_domain(tmp_path, patterns, relays, dsn):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example", **BOSS)
        await bench.run_until_idle(HOUR)
        assert [taken[1] for taken in target.delivered] == [["boss@elsewhere.example"]] * dsn
        assert len(await bench.rows("SELECT * FROM message")) == 1

    with capture_logs() as logs:
        run(tmp_path, scenario, target, patterns=patterns, relays=relays, delay_notice=HOUR / 2)
    refused = [one["detail"] for one in logs if one["event"] == "DSN not queued"]
    assert refused == ["no route to the sender"] * (not dsn)


def test_a_queued_dsn_waits_if_its_route_is_no_longer_for_the_domain(tmp_path):
    target = Target({"one.example": REFUSED, "elsewhere.example": LATER})

    async def before(bench):
        await bench.put("a@one.example", **BOSS)
        await bench.run_until_idle()
        assert [one[0] for one in target.tried] == ["one.example", "elsewhere.example"]

    async def after(bench):
        await bench.run_until_idle(HOUR)
        assert len(target.tried) == 2
        assert await bench.rows("SELECT reason FROM recipient") == [("no route",)]

    run(tmp_path, before, target, relays=True)
    target.answers.clear()
    run(tmp_path, after, target)


@pytest.mark.parametrize("client", [{"peer": UNTRUSTED}, {"peer": LOCAL, "sender": ""}])
def test_untrusted_senders_get_no_success_dsn(tmp_path, client):
    async def scenario(bench):
        one = recipient("a@one.example", NOTIFY="SUCCESS")
        await bench.put(one, **client)
        await bench.run_until_idle()
        await bench.queue.report_successes(transaction(**client), message(), {one: "delivered"})
        await bench.run_until_idle()
        assert [taken[1] for taken in bench.target.delivered] == [["a@one.example"]]

    run(tmp_path, scenario)


def test_success_dsns_of_direct_deliveries_are_queued(tmp_path):
    async def scenario(bench):
        successes = {
            recipient("a@one.example", NOTIFY="SUCCESS"): "delivered",
            recipient("b@two.example", NOTIFY="SUCCESS"): "relayed",
            recipient("c@one.example", NOTIFY="SUCCESS"): "delivered",
        }
        await bench.queue.report_successes(
            transaction(peer=LOCAL, params=ASKED), message(), successes
        )
        await bench.run_until_idle()
        found = [[one["Action"] for one in report(each)[1:]] for each in dsns(bench.target)]
        assert sorted(found) == [["delivered", "delivered"], ["relayed"]]
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario)


def test_a_failure_dsn_without_a_route_is_held(tmp_path):
    target = Target({"one.example": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.run_until_idle()
        assert await bench.held() == [("sender@example.net", "", "no route to the sender")]

    run(tmp_path, scenario, target, patterns=["one.example"])


def test_a_refused_dsn_is_held(tmp_path):
    target = Target({"one.example": REFUSED, "example.net": REFUSED})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.run_until_idle()
        ((address, reply, _),) = await bench.held()
        assert (address, reply) == ("sender@example.net", "550 5.1.1 No such user")

    run(tmp_path, scenario, target)


def test_earlier_failures_are_stored_with_a_new_message(tmp_path):
    target = Target()

    async def scenario(bench):
        failures = {"a@one.example": LATER, "b@one.example": REFUSED}
        await bench.put("a@one.example", "b@one.example", failures=failures)
        await bench.run_until_idle()
        assert target.tried == []
        assert [one[0] for one in await bench.held()] == ["b@one.example"]
        await bench.run_until_idle(100)
        assert [taken[1] for taken in target.delivered] == [["a@one.example"]]

    run(tmp_path, scenario, target)


def test_a_local_sender_gets_a_dsn_about_an_earlier_failure(tmp_path):
    async def scenario(bench):
        await bench.put("b@one.example", failures={"b@one.example": REFUSED}, peer=LOCAL)
        await bench.run_until_idle()
        (dsn,) = dsns(bench.target)
        assert dsn.get_payload(2).get_payload() == "Subject: x\r\nX-Y: z\r\n"
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario)


def test_a_suspended_destination_is_probed_with_one_message(tmp_path):
    target = Target({"dead.example": DEAD})

    async def scenario(bench):
        for number in range(100):
            await bench.put("a@dead.example", ref=f"s-1.{number}")
        await bench.run_until_idle()
        tried = len(target.tried)
        assert FAILURES <= tried <= 20 + FAILURES
        for wait in (70, 340, 1000):
            await bench.run_until_idle(wait)
            tried += 1
            assert len(target.tried) == tried
        await bench.put("b@dead.example", ref="s-1.new")
        await bench.run_until_idle()
        assert len(target.tried) == tried
        target.answers.clear()
        await bench.run_until_idle(2000)
        await bench.run_until_idle(2 * HOUR)
        assert len(set(target.refs())) == len(target.refs()) == 101

    run(tmp_path, scenario, target)


def test_one_failing_mailbox_does_not_suspend_its_destination(tmp_path):
    class Disk(Target):
        def destination(self, recipient):
            return "disk"

    target = Disk({"bad.example": DEAD})

    async def scenario(bench):
        for number in range(40):
            await bench.put(f"a@{'bad' if number % 2 else 'good'}.example", ref=f"s-1.{number}")
            await bench.run_until_idle()
        assert len(target.delivered) == 20

    run(tmp_path, scenario, target)


def test_concurrency_is_limited_in_total_and_per_destination(tmp_path):
    finish = asyncio.Event()
    domains = [f"{number}.example" for number in range(5)]
    target = Target(dict.fromkeys(domains, finish))

    async def scenario(bench):
        for number in range(20):
            for domain in domains:
                await bench.put(f"a@{domain}", ref=f"{domain}-{number}")
        await bench.run_until_idle()
        assert sum(target.active.values()) == 7
        assert sorted(target.active.values()) == [1, 1, 1, 2, 2]
        finish.set()
        await bench.run_until_idle()
        assert len(target.delivered) == 100
        assert max(target.peak.values()) <= 3

    run(tmp_path, scenario, target, concurrency=7, concurrency_per_destination=3)


def test_a_slow_destination_does_not_delay_others(tmp_path):
    never = asyncio.Event()
    target = Target({"slow.example": never})

    async def scenario(bench):
        for number in range(50):
            await bench.put("a@slow.example", ref=f"slow-{number}")
        await bench.run_until_idle()
        for number in range(30):
            await bench.put("a@fast.example", ref=f"fast-{number}")
        await bench.run_until_idle()
        assert len(target.delivered) == 30
        never.set()

    run(tmp_path, scenario, target, concurrency=10, concurrency_per_destination=5)


def test_a_clock_set_back_delays_nothing(tmp_path):
    target = Target({"one.example": [LATER, None], "dead.example": [DEAD] * FAILURES + [None]})

    async def scenario(bench):
        await bench.put("a@one.example")
        for number in range(FAILURES):
            await bench.put("a@dead.example", ref=f"s-1.{number}")
            await bench.run_until_idle()
        bench.clock.move(-400 * DAY)
        await bench.run_until_idle()
        await bench.run_until_idle()
        assert len(target.delivered) == 1 + FAILURES

    run(tmp_path, scenario, target)


def test_a_changed_route_moves_the_message(tmp_path):
    target = Target({"one.example": LATER})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        target.destination = lambda recipient: "elsewhere"
        target.answers.clear()
        await bench.run_until_idle(100)
        assert len(target.delivered) == 1

    run(tmp_path, scenario, target)


def test_without_a_route_mail_waits_for_one(tmp_path):
    async def scenario(bench):
        await bench.put("a@two.example")
        await bench.run_until_idle()
        assert await bench.queued() == [(1,)]

    run(tmp_path, scenario, patterns=["one.example"])


def test_a_faulty_target_loses_no_message(tmp_path):
    target = Target({"one.example": [RuntimeError("broken"), None]})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        await bench.run_until_idle(100)
        assert target.refs() == ["s-1.1"]

    run(tmp_path, scenario, target)


def test_a_delivery_cancelled_by_a_stop_is_repeated_at_the_next_start(tmp_path):
    never = asyncio.Event()

    async def first(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        bench.queue.stop = lambda patience, stop=bench.queue.stop: stop(0)

    run(tmp_path, first, Target({"one.example": never}))

    async def second(bench):
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.1"]

    run(tmp_path, second)


def test_a_stop_waits_for_active_deliveries(tmp_path):
    finish = asyncio.Event()
    target = Target({"one.example": finish})

    async def scenario(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()
        asyncio.get_running_loop().call_soon(finish.set)

    run(tmp_path, scenario, target)
    assert target.refs() == ["s-1.1"]


def test_a_full_spool_is_452_until_there_is_room(tmp_path):
    finish = asyncio.Event()
    target = Target({"one.example": finish})

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
        finish.set()
        await bench.run_until_idle()
        assert len(target.delivered) == len(taken)
        await bench.put("a@one.example", content=b"x" * 50_000)

    run(tmp_path, scenario, target, spool_size=1 << 20)


def test_a_result_that_cannot_be_saved_is_not_delivered_again(tmp_path, monkeypatch):
    real, attempts = Store.record, []

    def record(store, result):
        attempts.append(result)
        if len(attempts) < 4:
            raise sqlite3.OperationalError("database or disk is full")
        real(store, result)

    monkeypatch.setattr(Store, "record", record)
    monkeypatch.setattr("gatepost.queue.spool_access.PAUSE", 0.0)

    async def scenario(bench):
        await bench.put("a@one.example")
        while len(attempts) < 4:
            await bench.run_until_idle()
        await bench.run_until_idle()
        assert len(bench.target.tried) == 1
        assert await bench.rows("SELECT 1 FROM message") == []

    run(tmp_path, scenario)


def refs(count):
    return [f"s-1.{number}" for number in range(count)]


async def tick(bench):
    bench.runner.tick()
    for _ in range(5):
        await bench.in_store(lambda store: None)
        await asyncio.sleep(0)


def test_while_no_result_can_be_saved_few_messages_are_delivered(make_disk, monkeypatch):
    """A crash would repeat them, and memory holds them until then."""
    monkeypatch.setattr("gatepost.queue.spool_access.PAUSE", 0.1)
    own, count, concurrency = make_disk(16), 50, 3
    target = Target({"one.example": [LATER] * count + [None]})

    async def scenario(bench):
        for ref in refs(count):
            await bench.put("a@one.example", ref=ref)
        await bench.run_until_idle()
        with own.full():
            bench.clock.move(HOUR)
            ticks = 0
            while len(target.delivered) < 2 * concurrency:
                await tick(bench)
                ticks += 1
            assert len(target.delivered) <= 2 * concurrency + ticks
        while await bench.rows("SELECT 1 FROM message"):
            await bench.run_until_idle()
        assert sorted(target.refs()) == sorted(refs(count))

    run(own.root, scenario, target, concurrency=concurrency)


def test_a_dsn_that_does_not_fit_does_not_stop_other_deliveries(tmp_path, monkeypatch):
    """Other deliveries make room for it."""
    real, waiting = Store.record, [True]

    def record(store, result):
        if result.new_messages and waiting:
            raise sqlite3.OperationalError("database or disk is full")
        real(store, result)

    monkeypatch.setattr(Store, "record", record)
    target = Target({"one.example": LATER, "two.example": [LATER, LATER, None]})

    async def scenario(bench):
        await bench.put("a@one.example", peer=LOCAL)
        await bench.put("a@two.example", ref="s-1.2")
        await bench.run_until_idle()
        await bench.run_until_idle(5 * HOUR)  # the delay DSN is due
        await bench.run_until_idle(5 * HOUR)
        assert target.refs() == ["s-1.2"]
        waiting.clear()
        await bench.run_until_idle()
        assert len(dsns(target)) == 1

    run(tmp_path, scenario, target)


def test_files_without_an_owner_are_adopted_drained_and_removed(tmp_path):
    async def scenario(bench):
        async with Bench(tmp_path, Target({"one.example": LATER})) as other:
            await other.put("a@one.example")
            await other.run_until_idle()
            await bench.queue.adopt()
            assert len(bench.queue.files) == 1
        await bench.queue.adopt()
        bench.clock.move(100)
        adopted = bench.queue.files[1].runner
        while not bench.target.delivered:
            adopted.tick()
            await asyncio.sleep(0)
        await until(lambda: adopted.is_idle)
        await bench.queue.adopt()
        assert sorted(path.name for path in (tmp_path / "spool").glob("*.db")) == ["1.db"]

    run(tmp_path, scenario)


def test_a_file_that_cannot_be_opened_does_not_stop_the_others(tmp_path):
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
        assert [one.claimed.number for one in bench.queue.files] == [1, 3]
        (left,) = orphans(spool)
        assert left.number == 2
        left.release()

    run(tmp_path, scenario)


LONG = b"x" * CHUNK + b"y"
WRONG = "damaged: content checksum mismatch"


@pytest.mark.parametrize("client", [LOCAL, UNTRUSTED])
def test_a_message_found_damaged_during_delivery_is_held(tmp_path, client):
    target = Target({"one.example": [LATER, None]})

    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example", content=LONG, peer=client)
        await bench.put("a@two.example", ref="s-1.2")
        await bench.run_until_idle()
        await bench.in_store(lambda store: flip_bit(store.connection, piece=1))
        for _ in range(10):
            await bench.run_until_idle(DAY)
        assert await bench.held() == [("a@one.example", "", WRONG), ("b@one.example", "", WRONG)]
        assert target.refs() == ["s-1.2"]
        assert len(target.tried) == 3

    run(tmp_path, scenario, target)


def test_damage_does_not_suspend_the_destination(tmp_path):
    target = Target({"one.example": [*[LATER] * FAILURES, None]})

    async def scenario(bench):
        for number in range(FAILURES):
            await bench.put("a@one.example", ref=f"s-1.{number}", content=LONG)
        await bench.run_until_idle()
        for number in range(FAILURES):
            await bench.in_store(lambda store, at=number: flip_bit(store.connection, at + 1))
        await bench.run_until_idle(100)
        assert len(await bench.held()) == FAILURES
        await bench.put("a@one.example", ref="s-1.well")
        await bench.run_until_idle()
        assert target.refs() == ["s-1.well"]

    run(tmp_path, scenario, target)


@pytest.mark.parametrize("broken", ["header", "all"])
def test_a_damaged_file_is_replaced_by_a_new_one(tmp_path, broken):
    async def first(bench):
        await bench.put("a@one.example")
        await bench.run_until_idle()

    run(tmp_path, first, Target({"one.example": LATER}))
    path = tmp_path / "spool" / "1.db"
    octets = path.read_bytes()
    path.write_bytes(b"\0" * 100 + octets[100:] if broken == "header" else b"x" * 5000)

    async def second(bench):
        await bench.put("b@one.example", ref="s-1.2")
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.2"]
        await recovered(bench)

    run(tmp_path, second)
    assert len(list((tmp_path / "spool").glob("1.db.damaged-*-unreadable"))) == 1


def test_readable_messages_of_a_file_damaged_during_use_are_delivered(tmp_path):
    target = Target({"one.example": [LATER] * 5 + [None]})

    async def scenario(bench):
        for number in range(5):
            await bench.put("a@one.example", ref=f"s-1.{number}")
            await bench.run_until_idle()

        def damage(store):
            if store.path.exists() and not store.path.with_name("done").exists():
                store.path.with_name("done").touch()
                error = sqlite3.DatabaseError("malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error

        await bench.in_store(damage)
        await recovered(bench)
        assert await bench.queued() == [(5,)]
        await bench.run_until_idle(HOUR)
        assert sorted(target.refs()) == [f"s-1.{number}" for number in range(5)]

    run(tmp_path, scenario, target)


def test_the_fake_clock_moves_by_hand():
    clock = Clock()
    clock.move(5)
    assert clock.time() == Clock().time() + 5
