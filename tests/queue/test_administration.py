"""Changes of an administrator, copies, and the end of quarantine, by the owner of a file."""

import pytest
from structlog.testing import capture_logs
from tests.queue.fakes import CONTENT, REFUSED, Target, recipient, run

from gatepost.config.quarantine import QuarantineConfig
from gatepost.delivery.target import DeliveryError
from gatepost.disk.group_writer import GroupWriter
from gatepost.ledger.privacy import Privacy
from gatepost.model.session import Hold
from gatepost.queue.administration import CHECK
from gatepost.queue.recorder import DeliveryLog, DeliveryRecorder
from gatepost.queue.recording import DeliveryRecordMaker
from gatepost.queue.spool import admin, changes
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.records import encode, recipient_facts

VIRUS = Hold("virus", "clamav")
TO_ADMIN = encode(recipient_facts(recipient("admin@two.example"))).decode()
DAY = 86400


class Recorder(DeliveryRecorder):
    def __init__(self):
        self.changes, self.quarantines = [], []

    def quarantined(self, facts, recipients, hold):
        self.quarantines.append((facts.id, [str(one.address) for one in recipients], hold))

    def changed(self, change):
        self.changes.append((change.kind, change.author, change.detail, *change.recipients))


@pytest.fixture
def recorder():
    return Recorder()


def change(bench, what, detail="", **conditions):
    folder, selection = bench.folder / "spool", Selection(**conditions)
    return sum(admin.apply(folder, selection, what, 2e10, author="alice", detail=detail))


def test_a_message_in_quarantine_has_its_reason_plugin_and_time(tmp_path, recorder):
    async def scenario(bench):
        await bench.put("a@one.example", "b@two.example", hold=VIRUS)
        await bench.run_until_idle(DAY)
        assert bench.target.tried == []
        [first, second] = admin.entries(tmp_path / "spool", Selection(plugin="*"), 9)
        assert (first.holder, first.reason, first.state) == ("clamav", "virus", "held")
        assert first.held == first.received == second.held

    run(tmp_path, scenario, recorder=recorder)
    assert recorder.quarantines == [("s-1.1", ["a@one.example", "b@two.example"], VIRUS)]


def test_a_message_is_released_for_chosen_recipients(tmp_path, recorder):
    async def scenario(bench):
        await bench.put("a@one.example", "b@two.example", hold=VIRUS)
        assert change(bench, changes.RELEASE, recipient="a@*") == 1
        await bench.run_until_idle()
        assert bench.target.delivered == [("s-1.1", ["a@one.example"], CONTENT)]
        [left] = admin.entries(tmp_path / "spool", Selection(plugin="clamav"), 9)
        assert left.recipient == "b@two.example"

    run(tmp_path, scenario, recorder=recorder)
    assert recorder.changes == [("released", "alice", "", "a@one.example")]


def test_each_change_is_reported_once_and_its_row_deleted(tmp_path, recorder):
    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        change(bench, changes.LEARN, "spam by rspamd")
        await bench.run_until_idle()
        change(bench, changes.REMOVE)
        await bench.run_until_idle()
        assert await bench.rows("SELECT * FROM change") == []
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, recorder=recorder)
    assert recorder.changes == [
        ("learned", "alice", "spam by rspamd", "a@one.example"),
        ("removed", "alice", "", "a@one.example"),
    ]


def test_a_change_without_a_server_is_reported_at_the_next_start(tmp_path, recorder):
    benches = []

    async def before(bench):
        benches.append(bench)
        await bench.put("a@one.example", hold=VIRUS)

    async def after(bench):
        await bench.run_until_idle()
        assert bench.target.refs() == ["s-1.1"]

    run(tmp_path, before, recorder=recorder)
    change(benches[0], changes.RELEASE)
    run(tmp_path, after, recorder=recorder)
    assert [kind for kind, *_ in recorder.changes] == ["released"]


@pytest.mark.parametrize(("what", "left"), [(changes.COPY, 1), (changes.MOVE_AWAY, 0)])
def test_a_copy_is_delivered_to_another_address(tmp_path, recorder, what, left):
    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS, params={"RET": "FULL", "BODY": "8BITMIME"})
        change(bench, what, TO_ADMIN)
        await bench.run_until_idle()
        assert bench.target.delivered == [("s-1.1", ["admin@two.example"], CONTENT)]
        assert len(list(admin.entries(tmp_path / "spool", Selection(), 9))) == left

    run(tmp_path, scenario, recorder=recorder)
    assert recorder.changes == [("forwarded", "alice", "to admin@two.example", "a@one.example")]


def test_a_copy_that_fails_is_held_and_causes_no_dsn(tmp_path, recorder):
    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        change(bench, changes.MOVE_AWAY, TO_ADMIN)
        await bench.run_until_idle()
        assert await bench.held() == [("admin@two.example", "550 5.1.1 No such user", "Refused")]

    run(tmp_path, scenario, Target({"two.example": REFUSED}), recorder=recorder)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE content SET data = CAST('y' || substr(data, 2) AS BLOB)", "checksum"),
        ("DELETE FROM content", "octets"),
        ("UPDATE message SET facts = 'x'", "malformed"),
        ("UPDATE change SET detail = 'x'", "malformed"),
        ("DELETE FROM message", "no such message"),
    ],
)
def test_a_damaged_message_is_not_forwarded_and_stays(tmp_path, recorder, damage, problem):
    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        change(bench, changes.MOVE_AWAY, TO_ADMIN)
        await bench.rows(damage)
        await bench.run_until_idle()
        assert bench.target.tried == []
        assert len(await bench.held()) == 1

    run(tmp_path, scenario, recorder=recorder)
    [(kind, _, detail, _)] = recorder.changes
    assert (kind, detail[:15], problem in detail) == ("held", "not forwarded: ", True)


def test_damaged_changes_are_ignored(tmp_path, recorder):
    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        for _ in range(3):
            change(bench, changes.LEARN)
        await bench.rows(
            "UPDATE change SET ref = x'ff', kind = CASE id WHEN 1 THEN 'odd' ELSE kind END,"
            " recipients = CASE id WHEN 2 THEN '{' ELSE '[1, \"x\"]' END"
        )
        await bench.run_until_idle()
        assert await bench.rows("SELECT * FROM change") == []

    run(tmp_path, scenario, recorder=recorder)
    assert recorder.changes == [("learned", "alice", ""), ("learned", "alice", "", "x")]


def test_a_message_leaves_quarantine_after_its_time(tmp_path, recorder):
    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        await bench.run_until_idle(DAY - CHECK)
        assert len(await bench.held()) == 1
        await bench.run_until_idle(2 * CHECK)
        assert await bench.rows("SELECT * FROM message") == []

    run(tmp_path, scenario, recorder=recorder, quarantine=QuarantineConfig(keep=DAY))
    assert recorder.changes == [("expired", "", "", "a@one.example")]


def test_other_mail_that_is_held_stays(tmp_path):
    async def scenario(bench):
        await bench.put("a@one.example", "b@one.example")
        await bench.run_until_idle()
        await bench.put("c@two.example", hold=VIRUS)
        change(bench, changes.RELEASE)
        change(bench, changes.HOLD)
        await bench.run_until_idle(3 * DAY)
        assert len(await bench.held()) == 3

    target = Target({"one.example": REFUSED})
    run(tmp_path, scenario, target, quarantine=QuarantineConfig(keep=DAY))


def test_a_full_quarantine_defers_messages_until_there_is_space(tmp_path):
    async def scenario(bench):
        content = b"Subject: x\r\n\r\n" + 99 * b"1234567\r\n"
        await bench.put("a@one.example", content=content, hold=VIRUS)
        with pytest.raises(DeliveryError) as raised:
            await bench.put("a@one.example", content=content, hold=VIRUS)
        assert str(raised.value.as_reply()) == "452 4.3.1 Insufficient system storage"
        assert raised.value.detail == "the quarantine is full (quarantine.space)"
        await bench.put("b@one.example", content=content)
        change(bench, changes.REMOVE, plugin="clamav")
        await bench.run_until_idle(2 * CHECK)
        await bench.put("a@one.example", content=content, hold=VIRUS)

    run(tmp_path, scenario, quarantine=QuarantineConfig(space=1000))


def test_a_disk_that_fails_is_logged_once(tmp_path, recorder, monkeypatch):
    submit = GroupWriter.submit

    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        change(bench, changes.LEARN)

        def refuse(writer, job):
            if "_visit" in str(job):
                raise OSError("disk full")
            return submit(writer, job)

        with capture_logs() as lines, monkeypatch.context() as patched:
            patched.setattr(GroupWriter, "submit", refuse)
            await bench.run_until_idle()
        assert [one["error"] for one in lines if one["event"] == "changes not recorded"] == [
            "disk full"
        ]
        assert recorder.changes == []
        await bench.run_until_idle()
        assert len(recorder.changes) == 1

    run(tmp_path, scenario, recorder=recorder)


def test_the_log_and_the_ledger_have_each_step(tmp_path):
    records = []

    async def scenario(bench):
        await bench.put("a@one.example", hold=VIRUS)
        change(bench, changes.RELEASE)
        await bench.run_until_idle()

    with capture_logs() as lines:
        maker = DeliveryRecordMaker(DeliveryLog(), records.append, lambda: 1.0, Privacy(()))
        run(tmp_path, scenario, recorder=maker)
    held, released, delivered = [one for one in lines if one["log_level"] == "info"]
    assert (held["event"], held["reason"], held["plugin"]) == ("quarantined", "virus", "clamav")
    assert (released["event"], released["change"], released["by"]) == (
        "queue changed",
        "released",
        "alice",
    )
    assert delivered["event"] == "delivered"
    assert {one["ref"] for one in (held, released, delivered)} == {"s-1.1"}
    assert [(one.result, one.detail) for one in records] == [
        ("quarantined", "virus (clamav)"),
        ("released", "by alice"),
        ("delivered", ""),
    ]
    assert all(one.recipients == ["a@one.example"] for one in records)
