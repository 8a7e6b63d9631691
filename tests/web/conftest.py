"""A dashboard for each test that asks for one, and Chromium."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.web.made import RECORDS
from tests.web.served import BROWSER_TIMEOUT, Dashboard, write_records
from tools import peers

SCRIPT = Path(__file__).with_name("browser.js")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A dashboard with the records of `made` for tests that do not change it."""
    folder = tmp_path_factory.mktemp("shared")
    write_records(folder / "var", *RECORDS)
    with Dashboard(folder) as running:
        yield running


@pytest.fixture
def dashboard(tmp_path):
    """A dashboard of one test, with the records of `made`."""
    write_records(tmp_path / "var", *RECORDS)
    with Dashboard(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def programs():
    """Chromium, and the packages that drive it."""
    found = {name: peers.find(name) for name in ("chromium", "browser-tests")}
    for name, program in found.items():
        if program is None:
            pytest.skip(f"needs {name}")
    return found


@pytest.fixture(scope="session")
def act(programs):
    """Run an act of `browser.js` in a dashboard; return its findings."""

    def act(dashboard, name, **given):
        modules = Path(programs["browser-tests"].prefix[-1]).parents[1]
        base = "http://{}:{}".format(*dashboard.address)
        command = ["node", SCRIPT, modules, *programs["chromium"].prefix]
        done = subprocess.run(
            [*command, json.dumps({"base": base, "act": name, **given})],
            env=programs["chromium"].env,
            capture_output=True,
            text=True,
            timeout=BROWSER_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return act


@pytest.fixture(scope="session")
def act_as_admin(act):
    """Run an act with the cookie of an administrator, who has just logged in."""

    def act_as_admin(dashboard, name, **given):
        cookie, _, value = dashboard.logged_in(role="admin").cookie.partition("=")
        return act(dashboard, name, cookie={"name": cookie, "value": value}, **given)

    return act_as_admin
