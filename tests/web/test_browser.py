"""The dashboard in Chromium: each view, both sizes and colours, with the rules of axe."""

import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from tests.web.made import RECORDS
from tests.web.served import PASSWORD, VIEWS, Dashboard, write_records
from tools import peers

from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap

SCRIPT = Path(__file__).with_name("browser.js")
TIMEOUT = 300
TRAP = "/review/trap?entry=old@example.com&action=armed"
PATHS = [
    "/login",
    *VIEWS,
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
    base = "http://{}:{}".format(*running.address)

    def visit(**given):
        modules = Path(programs["browser-tests"].prefix[-1]).parents[1]
        name, _, value = running.logged_in(role="admin").cookie.partition("=")
        command = ["node", SCRIPT, modules, *programs["chromium"].prefix]
        command.append(
            json.dumps({"base": base, "cookie": {"name": name, "value": value}, **given})
        )
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

    return visit


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


def test_pages_work_without_scripts(visit):
    found = visit(scripts=False)
    assert found == {"/find?q=bob%40example.com": 2, "/queue": 0, "/health": 0}
