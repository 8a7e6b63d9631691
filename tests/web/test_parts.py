"""Users, attempts, forms, tables and periods of the dashboard, without a server."""

import os
import stat
from contextlib import suppress
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from gatepost.web.access.attempts import MOST_OF_ALL, MOST_OF_ONE, WINDOW, Attempts
from gatepost.web.access.entries import EntriesError
from gatepost.web.access.forms import parse_fields
from gatepost.web.access.sessions import MOST, Sessions
from gatepost.web.access.users import UsersFile, WebUser, parse_name, with_password
from gatepost.web.pages import breakable, coded, points
from gatepost.web.table import Column, Row, Table, as_csv
from gatepost.web.views.periods import Buckets

DAY = 86400


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


# Users


def test_users_are_added_replaced_and_removed(tmp_path):
    users = UsersFile(tmp_path)
    assert users.read() == {}
    assert not users.put(WebUser("alice", "admin"))
    assert not users.put(WebUser("bob", domains=["example.com"]))
    assert users.put(WebUser("alice", "viewer"))
    assert {name: one.role for name, one in users.read().items()} == {
        "alice": "viewer",
        "bob": "viewer",
    }
    assert users.remove("alice")
    assert not users.remove("alice")
    assert list(users.read()) == ["bob"]


def test_the_file_is_for_its_owner_only(tmp_path):
    UsersFile(tmp_path / "new").put(WebUser("alice"))
    assert stat.S_IMODE((tmp_path / "new/web/users").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new/web").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_new_files_belong_to_the_user_of_the_server(tmp_path):
    UsersFile(tmp_path / "new").put(WebUser("alice"), "nobody")
    for path in ("new", "new/web", "new/web/users"):
        assert (tmp_path / path).owner() == "nobody"


def test_only_one_user_is_the_first(tmp_path):
    users = UsersFile(tmp_path)
    assert users.add_first(WebUser("alice", "admin"))
    assert not users.add_first(WebUser("mallory", "admin"))
    assert list(users.read()) == ["alice"]


@pytest.mark.parametrize(
    "line", [b"alice", b"{}", b'{"name": 1}', b"\xff", b'{"name":"a","role":"x"}']
)
def test_a_line_that_is_no_user_is_reported_without_its_text(tmp_path, line):
    users = UsersFile(tmp_path)
    users.put(WebUser("bob", hash="$argon2id$secret"))
    with users.path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(EntriesError) as error:
        users.read()
    assert f"{users.path}:2: expected a user" in str(error.value)


@given(st.binary(max_size=200))
def test_any_octets_are_users_or_a_problem(tmp_path_factory, octets):
    users = UsersFile(tmp_path_factory.mktemp("users"))
    users.path.parent.mkdir()
    users.path.write_bytes(octets)
    with suppress(EntriesError):
        assert all(isinstance(one, WebUser) for one in users.read().values())


def test_a_hash_is_not_in_the_text_of_a_user():
    assert "secret" not in repr(WebUser("alice", hash="$argon2id$secret"))


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 2000, "bad\x00password"])
def test_a_password_that_cannot_be_used_is_refused(password):
    with pytest.raises(ValueError, match="password"):
        with_password(WebUser("alice"), password)


@pytest.mark.parametrize("name", ["", "a b", "x" * 300, "\udc80", "a\u202eb"])
def test_a_name_that_cannot_be_used_is_refused(name):
    with pytest.raises(ValueError, match="user name"):
        parse_name(name)


# Sessions and attempts


def test_the_newest_sessions_remain(tmp_path, clock):
    sessions = Sessions(tmp_path, 60, clock)
    user = WebUser("alice")
    tokens = [sessions.start(user) for _ in range(MOST + 1)]
    assert sessions.find(tokens[0]) is None
    assert sessions.find(tokens[1]) is not None
    assert Sessions(tmp_path, 60, clock).find(tokens[-1]) == sessions.find(tokens[-1])


def test_a_session_is_over_at_its_time(tmp_path, clock):
    sessions = Sessions(tmp_path, 60, clock)
    token = sessions.start(WebUser("alice"))
    clock.now += 59
    assert sessions.find(token) is not None
    clock.now += 1
    assert sessions.find(token) is None


def test_damaged_sessions_are_none(tmp_path, clock):
    Sessions(tmp_path, 60, clock).start(WebUser("alice"))
    (tmp_path / "web/sessions.json").write_bytes(b"\xff{")
    assert Sessions(tmp_path, 60, clock).start(WebUser("alice"))


def test_a_client_waits_until_its_attempts_are_old(clock):
    attempts = Attempts(clock)
    for _ in range(MOST_OF_ONE):
        assert attempts.wait("192.0.2.1") == 0
        attempts.count("192.0.2.1")
    assert attempts.wait("192.0.2.1") == WINDOW
    assert attempts.wait("192.0.2.2") == 0
    clock.now += WINDOW
    assert attempts.wait("192.0.2.1") == 0


@pytest.mark.parametrize(
    ("one", "other", "is_together"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unix socket", "unix socket", True),
    ],
)
def test_attempts_count_by_network(clock, one, other, is_together):
    attempts = Attempts(clock)
    for _ in range(MOST_OF_ONE):
        attempts.count(one)
    assert bool(attempts.wait(other)) == is_together


def test_the_attempts_of_all_clients_are_limited(clock):
    attempts = Attempts(clock)
    for number in range(MOST_OF_ALL):
        attempts.count(f"192.0.{number}.1")
    assert attempts.wait("198.51.100.1") == WINDOW
    attempts.refund("192.0.7.1")
    attempts.refund("unknown")
    assert attempts.wait("198.51.100.1") == 0


# Forms, tables, periods


@given(st.binary(max_size=100))
def test_any_octets_are_a_form(octets):
    form = parse_fields(octets)
    assert all(isinstance(one, str) for item in form for one in item)


def test_a_form_with_too_many_fields_is_empty():
    assert parse_fields(b"&".join(b"a%d=1" % number for number in range(301))) == ()


def test_the_cells_of_a_csv_file():
    columns = (Column("a", "A"), Column("time", "T", "time"), Column("n", "N", "count"))
    rows = [Row(('x,"y"', 0.5, -3)), Row(("@SUM(A1)", 1.0, 4)), Row(("-1+1", 1.0, 4))]
    assert as_csv(Table("t", "T", columns, rows)).decode().split("\r\n") == [
        "a,time,n",
        '"x,""y""",1970-01-01T00:00:00.500+00:00,-3',
        "'@SUM(A1),1970-01-01T00:00:01.000+00:00,4",
        "'-1+1,1970-01-01T00:00:01.000+00:00,4",
        "",
    ]


@given(st.text(max_size=100))
def test_places_for_line_ends_change_no_text(text):
    assert str(breakable(text)).replace("<wbr>", "") == str(escape(text))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("alice@example.com", ["alice@", "example.com"]),
        ("mx:partner.example", ["mx:", "partner.example"]),
        ("a@b: c", ["a@", "b: c"]),
        ("mail.department.company.example", ["mail.department.", "company.", "example"]),
        ("x" * 50, ["x" * 24, "x" * 24, "xx"]),
        ("unknown-recipient", ["unknown-recipient"]),
        ("a-word-that-is-quite-long", ["a-word-that-is-", "quite-", "long"]),
        ("[80da349b-292b.1]", ["[80da349b-292b.1]"]),
    ],
)
def test_a_word_can_be_broken_after_punctuation(text, parts):
    assert str(breakable(text)).split("<wbr>") == parts


def test_text_between_backticks_is_code():
    assert coded("`a <b>` c`") == "<code>a &lt;b&gt;</code> c`"


@pytest.mark.parametrize(
    ("columns", "size"), [(1, "narrow"), (4, "narrow"), (5, "medium"), (9, "wide"), (15, "vast")]
)
def test_a_table_needs_room_for_its_columns(columns, size):
    assert Table("t", "T", [Column("a", "A")] * columns, []).size == size


@pytest.mark.parametrize("values", ["", "0", "1 2 3", "0 0"])
def test_the_line_of_a_trend_has_a_point_for_each_value(values):
    assert len(points(values).split()) == len(values.split())


def test_hours_are_the_parts_of_short_periods():
    buckets = Buckets(3600 * 10 + 5, 3600 * 12 + 5, UTC)
    assert (buckets.unit, buckets.starts) == ("hour", [36000, 39600, 43200])
    assert buckets.sums([(36000, 1), (43200, 2), (46800, 4)]) == [1, 0, 2]
    assert buckets.sums([(36000 - DAY, 5)], DAY) == [5, 0, 0]


def test_days_are_those_of_the_zone():
    zone = ZoneInfo("Europe/Berlin")
    start = 1_774_652_400  # 2026-03-28 00:00 in Berlin; the next day has 23 hours
    buckets = Buckets(start, start + 4 * DAY, zone)
    assert buckets.unit == "day"
    assert buckets.starts[:3] == [start, start + DAY, start + 2 * DAY - 3600]
    assert buckets.sums([(start + 2 * DAY - 3600, 1), (start + 2 * DAY - 7200, 2)])[1:3] == [2, 1]


@given(st.floats(0, 2e9), st.floats(1, 4e9), st.sampled_from([UTC, None, ZoneInfo("Asia/Kolkata")]))
def test_each_hour_of_a_period_is_in_one_part(since, length, zone):
    buckets = Buckets(since, since + length, zone)
    hours = range(buckets.since, buckets.until, 3600)
    assert sum(buckets.sums((hour, 1) for hour in hours)) == len(hours)
    assert len(buckets.starts) <= 402
