"""The stream of open sessions: the workers are asked once for all viewers."""

import asyncio
import re
from functools import partial

import pytest
from tests.web.made import MARKUP
from tests.web.served import Dashboard, listening
from tests.web.streamed import Stream, at_once
from tests.web.test_now import TABLES, while_connected

from gatepost.config.load import config_from_dict
from gatepost.process.live import Live, live_sessions
from gatepost.server.control_socket import FOLDER, RequestError, SessionsRequest
from gatepost.server.live import LiveSession
from gatepost.server.server import Server
from gatepost.web.filters import Filters
from gatepost.web.live import sessions as feeds
from gatepost.web.live.sessions import SessionsFeed, SessionsViewer
from gatepost.web.streaming import _sessions
from gatepost.web.views import now

PATH = "/live/sessions"


@pytest.fixture
def dashboard(tmp_path):
    with Dashboard(tmp_path) as running:
        yield running


def viewer_of(role="admin", **filters):
    chosen = Filters(**filters)
    encode = partial(_sessions, filters=chosen, role=role)
    return SessionsViewer(now.request_of(chosen), role, encode)


def session_of(**fields):
    values = {"ref": "a-1", "client": "192.0.2.1:25", "age": 1.0, "idle": 0.0, "step": "mail"}
    return LiveSession(**values | {"received": 1, "sent": 1, "protocol": "smtp"} | fields)


def looked(folder, *viewers, times=1):
    """Return the content that viewers get from looks of one feed."""

    async def main():
        feed = SessionsFeed(folder, at_once)
        feed.viewers |= set(viewers)
        for _ in range(times):
            await feed.look()
        return [one.take().decode() for one in viewers]

    return asyncio.run(main())


def test_open_sessions_come_again_and_again(dashboard):
    admin = dashboard.logged_in(role="admin")

    def look():
        with Stream(admin, PATH).opened() as stream:
            return stream.next(), stream.next()

    events, reply = while_connected(dashboard, look)
    for event in events:
        assert event.name == "sessions"
        assert "127.0.0.1" in event.data
        assert "/now/end?ref=" in event.data
    assert "1 to 1" in events[1].data
    assert reply.startswith(b"221 ")


def test_the_end_of_a_session_is_for_administrators(dashboard):
    viewer = dashboard.logged_in()

    def look():
        with Stream(viewer, PATH).opened() as stream:
            return stream.next()

    event, _ = while_connected(dashboard, look)
    assert "127.0.0.1" in event.data
    assert "/now/end" not in event.data


def test_the_content_is_that_of_the_page(dashboard):
    admin = dashboard.logged_in(role="admin")
    with Stream(admin, PATH).opened() as stream:
        event = stream.next()
    assert "The server is not running" in event.data
    page = admin.get("/now").text
    for text in re.findall(r'<span class="label">([^<]+)', event.data):
        assert text in page


def test_the_workers_are_asked_once_for_all_viewers(monkeypatch, tmp_path):
    asked = []

    def ask(data_dir, request):
        asked.append(request)
        return Live((), ())

    monkeypatch.setattr(feeds, "live_sessions", ask)
    viewers = [viewer_of(ip=f"192.0.2.{number % 7}") for number in range(50)]
    found = looked(tmp_path, *viewers, viewer_of(), times=3)
    assert len(asked) == 3
    assert all(one.startswith("event: sessions\n") for one in found)


def test_a_filter_applies_to_the_sessions_of_all(tmp_path):
    async def main():
        config = config_from_dict(TABLES, tmp_path)
        async with Server(config, control=True) as server:
            host, _, port = server.addresses[0][1].rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            viewers = viewer_of(), viewer_of(ip="127.0.0.0/8"), viewer_of(ip="192.0.2.0/24")
            feed = SessionsFeed(config.data_dir, asyncio.to_thread)
            feed.viewers |= set(viewers)
            await feed.look()
            writer.close()
            return ["127.0.0.1" in one.take().decode() for one in viewers]

    assert asyncio.run(main()) == [True, True, False]


def test_a_process_that_hangs_is_named_and_the_sessions_of_others_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "live_sessions", partial(live_sessions, timeout=0.5))

    async def main():
        config = config_from_dict(TABLES, tmp_path)
        async with Server(config, control=True) as server:
            host, _, port = server.addresses[0][1].rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            with listening(config.data_dir / FOLDER / "99999-hangs.sock"):
                feed, viewer = SessionsFeed(config.data_dir, asyncio.to_thread), viewer_of()
                feed.viewers.add(viewer)
                await feed.look()
            writer.close()
            return viewer.take().decode()

    text = asyncio.run(main())
    assert "Process 99999 did not answer" in text
    assert "127.0.0.1" in text


def test_a_reload_shows_the_sessions_of_both_generations(tmp_path):
    async def main():
        config = config_from_dict(TABLES, tmp_path)
        feed, viewer = SessionsFeed(config.data_dir, asyncio.to_thread), viewer_of()
        feed.viewers.add(viewer)
        async with Server(config, control=True) as new:
            async with Server(config, control=True) as old:
                clients = []
                for server in (old, new):
                    host, _, port = server.addresses[0][1].rpartition(":")
                    clients.append(await asyncio.open_connection(host, int(port)))
                    await clients[-1][0].readline()
                await feed.look()
                both = viewer.take().decode()
            await feed.look()
            one = viewer.take().decode()
            for _, writer in clients:
                writer.close()
            return both, one

    both, one = asyncio.run(main())
    assert (both.count(">127.0.0.1<"), one.count(">127.0.0.1<")) == (2, 1)
    assert "1 to 2" in one


@pytest.mark.parametrize("error", [RequestError("another version"), PermissionError(13, "Denied")])
def test_an_error_is_shown_in_place_of_the_sessions(tmp_path, monkeypatch, error):
    def ask(_data_dir, _request):
        raise error

    monkeypatch.setattr(feeds, "live_sessions", ask)
    assert f"The sessions cannot be read: {error}" in looked(tmp_path, viewer_of())[0]


def test_text_of_clients_stays_text():
    session = session_of(helo=MARKUP, sender=MARKUP)
    snapshot = feeds.Snapshot(Live((), (), [session], 1), history=[1])
    text = _sessions(snapshot, Filters(), "admin")
    assert "&lt;script&gt;" in text
    assert "<script" not in text


def test_a_slow_viewer_gets_the_newest_state_only(tmp_path):
    viewer = viewer_of()
    looked(tmp_path, viewer, times=5)
    assert viewer.take() == b""


def test_the_poller_runs_only_while_there_are_viewers(tmp_path):
    async def main():
        feed, viewer = SessionsFeed(tmp_path, at_once), viewer_of()
        with feed.joined(viewer):
            await viewer.wait(60)
            poller = feed._poller
        assert feed._poller is None
        with pytest.raises(asyncio.CancelledError):
            await poller
        with feed.joined(viewer):
            assert feed._poller is not poller

    asyncio.run(main())


def test_a_request_selects_from_all_sessions_as_a_process_does():
    sessions = [
        session_of(ref=f"a-{number}", plugin="spf" if number % 2 else "") for number in range(9)
    ]
    live = Live((), (), sessions, 9)
    found = now.selected(live, SessionsRequest(plugin="spf", limit=3))
    assert ([one.ref for one in found.sessions], found.matched) == (["a-1", "a-3", "a-5"], 4)
    whole = now.selected(live, SessionsRequest(limit=3))
    assert (len(whole.sessions), whole.matched) == (3, 9)
