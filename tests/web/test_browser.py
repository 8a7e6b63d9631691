"""The dashboard in Chromium: each page, its sizes and colours, the keyboard, the rules of axe."""

import threading
import urllib.parse
from itertools import count

import pytest
from tests.web import full
from tests.web.made import RECORDS, accepted
from tests.web.served import PASSWORD, VIEWS, Dashboard, write_records
from tests.web.test_now import while_connected

from gatepost.ledger.records import Client
from gatepost.registry.file import FileRegistry

CLIENT = Client("192.0.2.1")
PATHS = [
    "/login",
    *VIEWS,
    "/try",
    "/dossier?q=client.example",
    "/review/trap?entry=old@example.com",
    "/review/trap?entry=old@example.com&action=armed",
    "/allow?q=192.0.2.1",
    "/allowed/end?what=192.0.2.1",
    "/forgive?what=client.example",
    "/message/c4-1.1",
    "/message/b40-1.1",
    "/message/d1-1",
    "/now/end?ref=a-1",
    "/find?q=nothing.example",
    "/find?ip=wrong",
    "/first?token=wrong",
    "/message/unknown",
    "/nothing",
]
STATUS = {
    "/find?ip=wrong": 400,
    "/first?token=wrong": 403,
    "/message/unknown": 404,
    "/nothing": 404,
}
CHARTS = ("/outcomes", "/traps", "/dossier?q=client.example")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    full.fill(folder / "var")
    with Dashboard(folder) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def visit(act_as_admin, running):
    """Run an act as an administrator who has just logged in; return its findings."""

    def visit(name, dashboard=running, **given):
        return act_as_admin(dashboard, name, **given)

    return visit


def assert_sound(pages, status):
    """Fail if a page has errors, loads from elsewhere, is too wide or breaks rules."""
    for page in pages:
        path = page["path"]
        assert page["status"] == status.get(path, 200), path
        expected = [] if page["status"] == 200 else [page["errors"][0]]  # Chromium logs the status
        assert (path, page["errors"]) == (path, expected)
        for fault in ("others", "serious", "broken", "scrolled"):
            assert (path, fault, page[fault]) == (path, fault, [])
        assert (path, page["wide"]) == (path, 0)


@pytest.mark.parametrize(
    ("width", "theme", "axe"),
    [
        (375, "light", True),
        (375, "dark", True),
        (768, "light", False),
        (1200, "dark", False),
        (1440, "light", True),
        (1440, "dark", True),
    ],
)
def test_each_page_works_fits_and_is_accessible(visit, width, theme, axe):
    pages = visit("visit", paths=PATHS, sizes=[[width, 900]], themes=[theme], axe=axe)
    assert_sound(pages, STATUS)
    assert [one["path"] for one in pages if one["canvas"]] == list(CHARTS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_the_first_user_is_accessible(act, tmp_path, theme):
    with Dashboard(tmp_path) as dashboard:
        path = dashboard.first_link()
        pages = act(dashboard, "visit", paths=[path], sizes=[[375, 900]], themes=[theme], axe=True)
    assert_sound(pages, {})


def test_the_page_of_a_user_without_access_is_accessible(act, tmp_path):
    web = {"user_header": "Remote-User", "proxy_from": ["127.0.0.0/8"]}
    with Dashboard(tmp_path, **web) as dashboard:
        given = {"paths": ["/find"], "sizes": [[375, 900]], "themes": ["light"], "axe": True}
        pages = act(dashboard, "visit", headers={"Remote-User": "mallory"}, **given)
    assert_sound(pages, {"/find": 403})


def test_without_records_each_page_is_accessible(visit, tmp_path):
    write_records(tmp_path / "var")
    with Dashboard(tmp_path) as dashboard:
        given = {"paths": list(VIEWS), "sizes": [[375, 900]], "themes": ["light"], "axe": True}
        assert_sound(visit("visit", dashboard, **given), {})


def test_the_tab_key_reaches_all_with_a_visible_focus(visit):
    for page in visit("walk", paths=PATHS):
        assert page == {"path": page["path"], "faint": [], "missed": []}


def test_the_login_the_search_and_the_switch_of_colours_work_by_keyboard(visit):
    found = visit("login", user="admin", password=PASSWORD)
    assert found == {
        "skip": "content",
        "searched": "/find?q=bob%40example.com",
        "rows": 2,
        "theme": "dark",
        "kept": "dark",
        "opened": "/message/b2-1.1",
        "out": "/login",
        "wrong": "The name or the password is wrong.",
        "serious": [],
        "in": "/find",
    }


def test_the_keyboard_chooses_and_arms_a_trap(visit, running):
    found = visit("review")
    chosen = urllib.parse.parse_qs(urllib.parse.urlsplit(found["asked"]).query)
    assert chosen == {"entry": [found["second"]], "action": ["armed"]}
    assert found["done"] == f"/review/trap?entry={found['second'].replace('@', '%40')}"
    assert FileRegistry(running.folder).history(found["second"])[-1].state == "armed"
    assert found["undo"].endswith("action=shadow")


def test_the_keyboard_selects_and_holds_messages(visit, tmp_path):
    full.fill(tmp_path / "var")
    with Dashboard(tmp_path) as dashboard:
        found = visit("queue", dashboard, names=["1-1", "1-2"])
    assert found == {
        "asked": "Hold 2 recipients",
        "serious": [],
        "broken": [],
        "done": "2 recipients held.",
    }


def test_the_keyboard_ends_a_session(visit, tmp_path):
    with Dashboard(tmp_path) as dashboard:
        found, reply = while_connected(dashboard, lambda: visit("end", dashboard))
    assert found == {"serious": [], "done": "The session was ended. The client got 421."}
    assert reply.startswith(b"421 ")


def test_open_sessions_change_in_place(visit, running):
    found, _ = while_connected(running, lambda: visit("now"))
    assert found == {
        "kept": True,
        "focus": "End",
        "selected": "127.0.0.1",
        "scrolled": True,
        "serious": [],
        "announced": "Live",
    }


@pytest.mark.parametrize("query", ["to=alice@example.com", "to=new@example.com"])
def test_new_rows_are_added_on_top(visit, tmp_path, query):
    address = query.partition("=")[2]
    write_records(tmp_path / "var", *RECORDS)
    stop = threading.Event()

    def write():
        for number in count(1):
            if stop.wait(0.1):
                return
            first = 1000 * number
            records = [accepted(first + one, address, client=CLIENT) for one in range(40)]
            write_records(tmp_path / "var", *records)

    with Dashboard(tmp_path) as dashboard:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            found = visit("follow", dashboard, live=query)
        finally:
            stop.set()
            writer.join()
    assert found.pop("before") <= 50
    assert found == {
        "place": f"/find?{query}#follow",
        "repeated": 0,
        "animation": "none",
        "serious": [],
        "paused": 1,
        "missing": "1,200 records are not shown. Load the page again.",
    }


def test_pages_work_without_scripts(visit):
    found = visit("plain")
    assert found == {"/find?q=bob%40example.com": 2, "/queue": 7, "/health": 0}
