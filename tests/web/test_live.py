"""The live streams of a running dashboard: rows, continuation, domains, ends, places."""

import asyncio
import re
import socket
from contextlib import ExitStack, aclosing

import pytest
from tests.web.made import MARKUP, accepted, hostile, refused
from tests.web.served import Dashboard, write_records
from tests.web.streamed import Stream, at_once
from tests.web.test_api import add_token
from tests.web.test_scoped_pages import SECRET, records

from gatepost.config.load import config_from_dict
from gatepost.ledger.records import Client, Connection, Delivery
from gatepost.web import server
from gatepost.web.access.users import WebUser
from gatepost.web.api.openapi import BASE
from gatepost.web.app import make_app
from gatepost.web.audit import Audit
from gatepost.web.live import places
from gatepost.web.live import stream as streams
from gatepost.web.live.feed import Feed
from gatepost.web.live.viewer import Viewer
from gatepost.web.server import WebServer
from gatepost.web.site import COOKIE, Site

EVENTS_PATH = "/live/events"


@pytest.fixture
def running(tmp_path):
    write_records(tmp_path / "var", accepted(1))
    with Dashboard(tmp_path) as dashboard:
        yield dashboard


def refs(event):
    """Return the references of the rows of an event."""
    return re.findall(r'href="/message/([^"]+)"', event.data)


def page_cursor(browser, path="/find"):
    return re.search(r'data-after="([^"]+)"', browser.get(path).text)[1]


# New rows


def test_new_messages_come_as_rows(running):
    browser = running.logged_in()
    after = page_cursor(browser)
    with Stream(browser, f"{EVENTS_PATH}?after={after}").opened() as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        write_records(running.folder, accepted(20), refused(21))
        event = stream.next()
        assert (event.name, refs(event)) == ("rows", ["a20-1.1", "b21-1.1"])


def test_what_came_between_the_page_and_the_stream_is_not_lost(running):
    browser = running.logged_in()
    after = page_cursor(browser)
    write_records(running.folder, accepted(30))
    with Stream(browser, f"{EVENTS_PATH}?after={after}").opened() as stream:
        assert refs(stream.next()) == ["a30-1.1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("result=refused", ["b41-1.1"]),
        ("to=bob@example.com&period=1h", ["b41-1.1"]),
        ("q=alice@example.com", ["a40-1.1"]),
        ("q=192.0.2.40", ["a40-1.1"]),
        ("reason=listed&plugin=dnsbl", ["b41-1.1"]),
    ],
)
def test_rows_are_those_of_the_filters(running, query, expected):
    browser = running.logged_in()
    after = page_cursor(browser)
    write_records(running.folder, accepted(40), refused(41))
    with Stream(browser, f"{EVENTS_PATH}?{query}&after={after}").opened() as stream:
        assert refs(stream.next()) == expected


def test_a_delivery_and_a_quiet_connection_have_no_row_of_their_own(running):
    browser = running.logged_in()
    after = page_cursor(browser)
    quiet = Connection(1.0, "q1-1", Client("192.0.2.1"), end="quit")
    delivery = Delivery(2.0, "a1-1.1", "mx.example", "delivered", ["alice@example.com"], 1)
    write_records(running.folder, quiet, delivery, accepted(50))
    with Stream(browser, f"{EVENTS_PATH}?after={after}").opened() as stream:
        assert refs(stream.next()) == ["a50-1.1"]


@pytest.mark.parametrize("moment", [1.0, 4e9])
def test_the_clock_of_the_server_does_not_count(running, moment):
    browser = running.logged_in()
    after = page_cursor(browser)
    write_records(running.folder, accepted(55, time=moment))
    with Stream(browser, f"{EVENTS_PATH}?period=1h&after={after}").opened() as stream:
        assert refs(stream.next()) == ["a55-1.1"]


def test_markup_of_clients_stays_text(running):
    browser = running.logged_in()
    after = page_cursor(browser)
    write_records(running.folder, *hostile())
    with Stream(browser, f"{EVENTS_PATH}?after={after}").opened() as stream:
        data = stream.next().data
    assert MARKUP not in data
    assert "&lt;script&gt;" in data
    assert "<script" not in data
    assert "<img" not in data


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"{EVENTS_PATH}?ip=wrong", "ip: expected"),
        (f"{EVENTS_PATH}?q=%20..%20", "expected a reference"),
        (f"{EVENTS_PATH}?after=1-1", "after: expected the id of an event"),
        ("/live/sessions?ip=wrong", "ip: expected"),
    ],
)
def test_a_wrong_request_is_an_error_with_what_was_expected(running, path, text):
    answer = running.logged_in().get(path)
    assert answer.status == 400
    assert text in answer.text


def test_a_wrong_last_event_id_is_an_error(running):
    answer = running.logged_in().get(EVENTS_PATH, Last_Event_ID="1-1")
    assert (answer.status, answer.text) == (
        400,
        "Last-Event-ID: expected the id of an event of this server\n",
    )


def test_a_head_request_is_no_stream(running):
    answer = running.logged_in().send("HEAD", EVENTS_PATH)
    assert (answer.status, answer.text) == (200, "")


# Continue after an interruption


def test_no_row_is_lost_or_repeated_when_connections_are_cut_and_the_process_is_killed(running):
    browser = running.logged_in()
    last, seen, written = page_cursor(browser), [], []
    for turn in range(6):
        more = [accepted(number) for number in range(100 + 10 * turn, 105 + 10 * turn)]
        written += [one.ref for one in more]
        write_records(running.folder, *more[:2])
        with Stream(browser, EVENTS_PATH, Last_Event_ID=last).opened() as stream:
            seen += refs(stream.next())
            last = stream.last_id
            write_records(running.folder, *more[2:])
            if turn % 2:
                seen += refs(stream.next())
                last = stream.last_id
        if turn == 3:
            running.stop(9)
            running.start()
    with Stream(browser, EVENTS_PATH, Last_Event_ID=last).opened() as stream:
        while len(seen) < len(written):
            seen += refs(stream.next())
    assert sorted(seen) == sorted(written)


# Scopes


@pytest.fixture(scope="module")
def scoped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoped-live")
    write_records(folder / "var", accepted(90))
    with Dashboard(folder) as dashboard:
        yield dashboard


def test_a_user_with_domains_gets_nothing_of_others(scoped):
    browser = scoped.logged_in("viewer", domains=["example.com"])
    after = page_cursor(browser)
    token = add_token(scoped, domains=["example.com"])
    opened = [
        Stream(browser, f"{EVENTS_PATH}?after={after}").opened(),
        Stream(browser, f"{EVENTS_PATH}?after={after}&q=example.com").opened(),
        Stream(
            scoped.browser(), f"{BASE}/events?after={after}", Authorization=f"Bearer {token}"
        ).opened(),
    ]
    write_records(scoped.folder, *records(), accepted(91, ref="last-1.1"))
    for stream in opened:
        data = ""
        while "last-1.1" not in data:
            data += stream.next().data
        assert "both-1.1" in data
        assert SECRET not in data
        assert "203.0.113" not in data
        assert "other.example" not in data
        stream.close()


def test_a_filter_tests_nothing_outside_of_the_domains(scoped):
    browser = scoped.logged_in("filtering", domains=["example.com"])
    after = page_cursor(browser)
    hidden = accepted(92, f"{SECRET}@other.example", f"me@{SECRET}.example", ref="hidden-1.1")
    own = accepted(93, ref="own-1.1", reason=f"{SECRET}-reason")
    write_records(scoped.folder, hidden, own)
    for query in (f"q={SECRET}.example", f"sender={SECRET}.example"):
        with Stream(browser, f"{EVENTS_PATH}?{query}&after={after}").opened() as stream:
            write_records(scoped.folder, accepted(94, sender=f"x@{SECRET}.example", ref="o-1.1"))
            assert refs(stream.next()) == ["o-1.1"]


def test_the_id_of_an_event_does_not_show_the_number_of_records(scoped):
    browser = scoped.logged_in("counting", domains=["example.com"])
    found = {page_cursor(browser) for _ in range(3)}
    assert len(found) == 3
    assert not any(re.fullmatch(r"\d+-\d+", one) for one in found)


@pytest.mark.parametrize("path", ["/live/sessions", "/live/sessions?ip=192.0.2.1"])
def test_sessions_are_not_for_users_with_domains(scoped, path):
    browser = scoped.logged_in("no-sessions", role="admin", domains=["example.com"])
    assert browser.get(path).status == 403


@pytest.mark.parametrize("path", ["/live/sessions", EVENTS_PATH])
def test_a_stream_needs_a_login(scoped, path):
    answer = scoped.browser().get(path)
    assert (answer.status, answer.text) == (401, "Log in first.\n")


# The end of a stream


def log_out(dashboard, browser):
    page = browser.get("/find")
    cookie = browser.cookie
    browser.post("/logout", {"token": page.token})
    browser.cookie = cookie


CHANGES = {
    "logout": log_out,
    "password": lambda dashboard, _: dashboard.add("admin", password="another long password"),
    "role": lambda dashboard, _: dashboard.add("admin", role="admin"),
    "domains": lambda dashboard, _: dashboard.add("admin", domains=["example.com"]),
    "removal": lambda dashboard, _: dashboard.users.remove("admin"),
    "damage": lambda dashboard, _: dashboard.users.path.write_text("damaged\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("path", ["/live/sessions", EVENTS_PATH])
def test_a_stream_ends_when_the_user_may_not_see_it_any_more(running, change, path):
    browser = running.logged_in()
    with Stream(browser, path).opened() as stream:
        change(running, browser)
        write_records(running.folder, accepted(60))
        names = []
        while event := stream.next():
            names.append(event.name)
        assert names[-1:] == ["end"]
        assert "rows" not in names


def test_a_stream_ends_when_its_token_is_removed(running):
    token = add_token(running)
    with Stream(
        running.browser(), f"{BASE}/events", Authorization=f"Bearer {token}"
    ).opened() as stream:
        running.tokens.remove("program")
        assert stream.next().name == "end"
        assert stream.next() is None


def test_the_process_stops_with_open_streams(running):
    browser = running.logged_in()
    opened = [Stream(browser, path).opened() for path in ("/live/sessions", EVENTS_PATH)]
    assert running.stop() == 0
    for stream in opened:
        while stream.next():
            pass
        stream.close()


def test_the_server_does_not_wait_for_open_streams(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "GRACE", 3600.0)
    write_records(tmp_path / "var", accepted(1))

    async def main():
        site = Site(config_from_dict({"web": {"listen": "127.0.0.1:0"}}, tmp_path), Audit(None))
        user = WebUser("admin")
        site.users.put(user)
        cookie = f"{COOKIE}={site.sessions.start(user)}"
        sock = socket.create_server(("127.0.0.1", 0))
        web = WebServer(make_app(site), sock, None)
        await web.start()
        clients = []
        for path in ("/live/sessions", EVENTS_PATH):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
            await reader.readuntil(b"retry: ")
            clients.append((reader, writer))
        site.live.end_streams()
        await web.stop()
        ends = [await reader.read() for reader, _ in clients]
        for _, writer in clients:
            writer.close()
        site.close()
        return ends

    assert all(one.endswith(b"0\r\n\r\n") for one in asyncio.run(main()))


def test_a_quiet_stream_has_a_heartbeat(monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT", 0.0)

    class Quiet(Feed):
        about, interval = "nothing", 3600.0

        async def look(self):
            return self.interval

    async def main():
        viewer = Viewer("", str)
        events = streams.Stream(Quiet(at_once), viewer, lambda: True, lambda: False).events()
        async with aclosing(events):
            return [await anext(events) for _ in range(3)]

    assert asyncio.run(main()) == [b"retry: 2000\n\n", b":\n\n", b":\n\n"]


# Places


def test_a_login_has_a_limited_number_of_streams(running):
    browser = running.logged_in()
    opened = [Stream(browser, EVENTS_PATH).opened() for _ in range(places.EACH)]
    answer = browser.get(EVENTS_PATH)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    assert answer.text == "5 live streams are open for you. Close another page.\n"
    with Stream(running.logged_in("other"), EVENTS_PATH) as other:
        assert other.status == 200
    assert browser.get("/find").status == 200
    for stream in opened:
        stream.close()


def test_a_place_is_free_again_after_an_error():
    kept = places.Places()
    for _ in range(places.EACH + 1):
        with pytest.raises(OSError, match="gone"), kept.taken("a"):
            raise OSError("gone")
    with kept.taken("a"):
        pass


def test_all_streams_have_a_limit():
    kept = places.Places()
    with ExitStack() as stack:
        for number in range(places.MOST):
            stack.enter_context(kept.taken(str(number)))
        with pytest.raises(places.FullError, match="100 live streams"), kept.taken("more"):
            pass
