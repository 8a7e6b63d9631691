"""Counts of users who see some domains: those of the visible records, made before or now."""

import sqlite3
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.mail_records import ANY_RECORD
from tests.process.supervised import eventually
from tests.web.made import NOW, accepted, judged, refused, trapped
from tests.web.served import Dashboard, write_records

from gatepost.config.load import config_from_dict
from gatepost.ledger.extract import converted
from gatepost.ledger.records import Delivery, RecipientRecord, encode
from gatepost.ledger.shape import Shapes
from gatepost.ledger.store import LedgerReader, LedgerWriter
from gatepost.ledger.store.cells import CellCache
from gatepost.ledger.tally import Tally
from gatepost.web.counts.background import ScopeCounter
from gatepost.web.counts.counted import ScopeCounts
from gatepost.web.counts.file import CountsFile, Progress
from gatepost.web.counts.segment import DIMENSIONS
from gatepost.web.filters import parse_filters
from gatepost.web.scope import Scope
from gatepost.web.source import Source
from gatepost.web.views import authentication, outcomes, reasons, traps

KEEP, SIZE = 3650 * 86400.0, 1 << 30
END = 4e9
ONE = Scope(frozenset({"example.com"}))
BOTH = Scope(frozenset({"example.com", "other.example"}))
SCOPES = (ONE, BOTH, Scope(frozenset({"client.example"})), Scope(frozenset({"none.example"})))
BOTH_RECIPIENTS = [RecipientRecord("alice@example.com"), RecipientRecord("x@other.example")]
MAIL = (
    accepted(1),
    accepted(2, "x@other.example"),
    accepted(3, recipients=BOTH_RECIPIENTS, recipients_count=2),
    accepted(4, "x@other.example", "me@example.com"),
    refused(5),
    refused(6, "x@other.example"),
    trapped(7),
    trapped(8, trap="trap@other.example"),
    judged(9),
    judged(10, "x@other.example", result="fail"),
    Delivery(NOW - 5, "a3-1.1", "hop", "deferred", ["alice@example.com", "x@other.example"], 2),
)
PLACED = st.builds(
    lambda record, time: msgspec.structs.replace(record, time=time),
    ANY_RECORD,
    st.floats(NOW - 9000, NOW),
)


class Ledger:
    """A ledger with small segments, and what the dashboard counts of it."""

    def __init__(self, data, scopes=SCOPES):
        self.folder = data / "ledger"
        self.file = CountsFile(data)
        self.records = []
        self._writer = LedgerWriter(self.folder, KEEP, SIZE, segment=5, tail=3)
        self.cache = CellCache()
        self.counter = ScopeCounter(
            self.folder, self.file, lambda: scopes, lambda: False, self.cache
        )

    def write(self, *records):
        for record in records:
            self._writer.add([encode(record)])
            self._writer.commit()
            self._writer.maintain()
        self.records += records

    def count(self):
        while self.counter.work():
            pass

    def counts(self, scope, since=0, until=END, is_over=lambda: False):
        reader = LedgerReader(self.folder, is_over, self.cache)
        return ScopeCounts(reader, self.file, scope), since, until

    def found(self, scope, **period):
        counts, since, until = self.counts(scope, **period)
        return added(counts.cells(since, until, sorted(DIMENSIONS)))

    def close(self):
        self._writer.close()


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "var")
    yield made
    made.close()


def added(cells):
    found = Counter()
    for hour, dimension, counts in cells:
        for key, count in counts.items():
            found[hour, dimension, key] += count
    return found


def expected(records, scope):
    """Return the counts of the visible records."""
    visible = [one for one in map(scope.visible, records) if one is not None]
    extracts = [converted(one) for one in visible]
    tally = Tally()
    tally.add(extracts, Shapes().of(extracts))
    cells = ((hour, name, counts) for (hour, name), counts in tally.cells() if name in DIMENSIONS)
    return added(cells)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(PLACED | st.sampled_from(MAIL), max_size=12),
    st.lists(PLACED | st.sampled_from(MAIL), max_size=6),
    st.sampled_from(SCOPES),
)
def test_counts_are_those_of_the_visible_records_counted_before_or_by_the_request(
    before, after, scope
):
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        ledger.write(*before)
        ledger.count()
        ledger.write(*after)
        assert ledger.found(scope) == expected([*before, *after], scope)
        ledger.count()
        assert ledger.found(scope) == expected([*before, *after], scope)
        ledger.close()


@pytest.mark.parametrize("scope", SCOPES)
def test_without_counts_in_the_file_a_request_counts_all(ledger, scope):
    ledger.write(*MAIL)
    assert ledger.found(scope) == expected(MAIL, scope)


def test_what_is_counted_is_not_read_again(ledger):
    ledger.write(*MAIL)
    ledger.count()
    whole = {number for number, one in ledger.file.read(ONE).progress.items() if one.whole}
    assert whole == {1, 2}
    looks = iter([False] * 40)
    counts, since, until = ledger.counts(ONE, is_over=lambda: next(looks, True))
    assert added(counts.cells(since, until, sorted(DIMENSIONS))) == expected(MAIL, ONE)
    assert counts.since == 0


@pytest.mark.parametrize("is_counted", [False, True])
def test_a_request_without_time_has_the_newest_and_the_time_of_the_oldest(ledger, is_counted):
    mail = sorted(MAIL, key=lambda one: one.time)
    ledger.write(*mail[:6])
    if is_counted:
        ledger.count()
    ledger.write(*mail[6:])
    whole, stopped = expected(MAIL, BOTH), 0
    for number in range(40):
        looks = iter([False] * number)
        counts, since, until = ledger.counts(BOTH, is_over=partial(next, looks, True))
        found = added(counts.cells(since, until, sorted(DIMENSIONS)))
        newer = [one for one in MAIL if one.time > counts.since]
        assert expected(newer, BOTH) <= found <= whole
        assert found == whole or counts.since > 0
        stopped += found != whole
    assert found == whole
    assert stopped


def test_a_period_has_its_hours_only(ledger):
    ledger.write(accepted(1, time=NOW - 9000), accepted(2, time=NOW - 90_000))
    ledger.count()
    ledger.write(accepted(3, time=NOW - 9000), accepted(4, time=NOW - 90_000))
    found = ledger.found(ONE, since=NOW - 20_000, until=NOW)
    assert sum(number for (_, name, _), number in found.items() if name == "result") == 2


def test_another_segment_with_the_same_number_is_counted_again(tmp_path, ledger):
    ledger.write(*MAIL)
    ledger.count()
    ledger.close()
    for path in ledger.folder.iterdir():
        path.unlink()
    other = Ledger(tmp_path / "var")
    other.write(accepted(1), accepted(2))
    assert other.found(ONE) == expected(other.records, ONE)
    other.count()
    assert other.found(ONE) == expected(other.records, ONE)
    other.close()


def test_scopes_and_segments_that_are_gone_are_removed(ledger):
    ledger.write(*MAIL)
    ledger.count()
    (ledger.folder / "00000001.sqlite").unlink()
    counter = ScopeCounter(ledger.folder, ledger.file, lambda: [ONE], lambda: False, ledger.cache)
    while counter.work():
        pass
    assert set(ledger.file.read(ONE).progress) == {2, 3}
    assert ledger.file.read(BOTH).progress == {}


def test_a_damaged_file_is_made_again(ledger):
    ledger.write(*MAIL)
    ledger.file.path.parent.mkdir()
    ledger.file.path.write_bytes(b"no database" * 1000)
    assert ledger.found(ONE) == expected(MAIL, ONE)
    assert not ledger.counter.work()
    ledger.count()
    assert ledger.file.read(ONE).progress
    assert ledger.found(ONE) == expected(MAIL, ONE)


def test_counts_of_other_rules_are_made_again(ledger):
    ledger.write(*MAIL)
    ledger.count()
    with sqlite3.connect(ledger.file.path) as connection:
        connection.execute("UPDATE cell SET counts = '{\"wrong\": 1}'")
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert ledger.found(ONE) == expected(MAIL, ONE)
    ledger.count()
    assert ledger.found(ONE) == expected(MAIL, ONE)


def test_the_file_is_for_its_owner_only(ledger):
    ledger.write(*MAIL)
    ledger.count()
    assert ledger.file.path.stat().st_mode & 0o777 == 0o600


def test_a_long_segment_is_counted_in_steps(ledger, monkeypatch):
    monkeypatch.setattr("gatepost.web.counts.segment.TOGETHER", 1)
    monkeypatch.setattr("gatepost.web.counts.background.TOGETHER", 1)
    monkeypatch.setattr("gatepost.web.counts.background.STEP", 1)
    ledger.write(*MAIL)
    assert ledger.counter.work()
    assert ledger.file.read(BOTH).progress[3] != Progress(0.0)
    assert ledger.found(BOTH) == expected(MAIL, BOTH)
    ledger.count()
    assert ledger.found(BOTH) == expected(MAIL, BOTH)


def test_the_counter_ends_while_requests_run(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(*MAIL)
    counter = ScopeCounter(ledger.folder, ledger.file, lambda: [ONE], lambda: True, ledger.cache)
    counter.start()
    counter.stop()
    ledger.close()
    assert ledger.file.read(ONE).progress == {}


@pytest.mark.parametrize("view", [outcomes, reasons, traps, authentication])
def test_a_view_names_the_time_since_which_its_counts_are_complete(ledger, monkeypatch, view):
    ledger.write(*MAIL)
    config = config_from_dict({}, ledger.folder.parents[1])
    filters = parse_filters({"period": "7d", "zone": "UTC"}, NOW + 60)

    def notes():
        return " ".join(one.note for one in view.query(Source(config, ONE), filters).tables)

    assert "Complete since" not in notes()
    monkeypatch.setattr("gatepost.web.source.BRIEF", -1)
    monkeypatch.setattr("gatepost.web.source.LEAST", -1)
    assert "Complete since" in notes()
    assert "are being counted" in notes()


def test_a_dashboard_counts_for_its_users_and_tokens(tmp_path):
    write_records(tmp_path / "var", *MAIL)
    file = CountsFile(tmp_path / "var")
    with Dashboard(tmp_path) as dashboard:
        dashboard.add("bob", domains=["example.com"])
        eventually(lambda: file.read(ONE).progress)
    assert file.read(BOTH).progress == {}
