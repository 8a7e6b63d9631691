"""The dashboard in Chromium: each view, both sizes and colours, with the rules of axe."""

import json
import subprocess
import threading
import urllib.parse
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from tests.web.made import RECORDS, accepted
from tests.web.served import PASSWORD, VIEWS, Dashboard, write_records
from tests.web.test_now import while_connected
from tools import peers

from gatepost.ledger.records import Client
from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap

SCRIPT = Path(__file__).with_name("browser.js")
TIMEOUT = 300
CLIENT = Client("192.0.2.1")
TRAP = "/review/trap?entry=old@example.com&action=armed"
PATHS = [
    "/login",
    *VIEWS,
    "/try",
    "/dossier?q=client.example",
    TRAP,
    "/allow?q=192.0.2.1",
    "/allowed/end?what=192.0.2.1",
    "/forgive?what=client.example",
    "/message/c4-1.1",
    "/find?q=nothing.example",
    "/find?ip=wrong",
]
STATUS = {"/find?ip=wrong": 400}


@pytest.fixture(scope="module")
def programs():
    found = {name: peers.find(name) for name in ("chromium", "browser-tests")}
    for name, program in found.items():
        if program is None:
            pytest.skip(f"needs {name}")
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    write_records(folder / "var", *RECORDS)
    for entry in ("old@example.com", "other@example.com"):
        trap = RegisteredTrap(entry=entry, by="test", at=1000.0)
        FileRegistry(folder / "var").change(entry, lambda _old, trap=trap: trap)
    with Dashboard(folder) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def visit(programs, running):
    """Run a script with a browser in which a user has just logged in; return its findings."""
    return partial(visited, programs, running)


def visited(programs, running, **given):
    base = "http://{}:{}".format(*running.address)
    modules = Path(programs["browser-tests"].prefix[-1]).parents[1]
    name, _, value = running.logged_in(role="admin").cookie.partition("=")
    command = ["node", SCRIPT, modules, *programs["chromium"].prefix]
    command.append(json.dumps({"base": base, "cookie": {"name": name, "value": value}, **given}))
    done = subprocess.run(
        command,
        env=programs["chromium"].env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("width", "theme", "axe"),
    [(375, "light", True), (1440, "dark", True), (375, "dark", False), (1440, "light", True)],
)
def test_each_page_works_and_is_accessible(visit, width, theme, axe):
    for page in visit(paths=PATHS, sizes=[[width, 900]], themes=[theme], axe=axe):
        path = page["path"]
        assert page["status"] == STATUS.get(path, 200)
        expected = [] if page["status"] == 200 else [page["errors"][0]]  # Chromium logs the status
        assert (path, page["errors"]) == (path, expected)
        assert (path, page["others"]) == (path, [])
        assert (path, page["serious"]) == (path, [])
        assert (path, page["wide"]) == (path, 0)
        assert page["canvas"] == (path in ("/outcomes", "/traps", "/dossier?q=client.example"))


def test_the_login_the_keyboard_and_the_switch_of_colours_work(visit):
    found = visit(steps={"name": "admin", "password": PASSWORD})
    assert found == {
        "skip": "content",
        "searched": "/find?q=bob%40example.com",
        "rows": 2,
        "theme": "dark",
        "kept": "dark",
        "opened": "/message/b2-1.1",
        "out": "/login",
        "wrong": "The name or the password is wrong.",
        "in": "/find",
    }


def test_the_keyboard_chooses_and_arms_a_trap(visit, running):
    found = visit(review=True)
    chosen = urllib.parse.parse_qs(urllib.parse.urlsplit(found["asked"]).query)
    assert chosen == {"entry": [found["second"]], "action": ["armed"]}
    assert found["done"] == f"/review/trap?entry={found['second'].replace('@', '%40')}"
    assert FileRegistry(running.folder).history(found["second"])[-1].state == "armed"
    assert found["undo"].endswith("action=shadow")


def test_open_sessions_change_in_place(programs, running):
    watch = partial(visited, programs, running, live="now")
    found, _ = while_connected(running, watch)
    assert found == {
        "kept": True,
        "focus": "End",
        "selected": "127.0.0.1",
        "scrolled": True,
        "serious": [],
        "announced": "Live",
    }


@pytest.mark.parametrize("query", ["to=alice@example.com", "to=new@example.com"])
def test_new_rows_are_added_on_top(programs, tmp_path, query):
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
            found = visited(programs, dashboard, live=query)
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
    found = visit(scripts=False)
    assert found == {"/find?q=bob%40example.com": 2, "/queue": 0, "/health": 0}
