"""The view Try in Chromium: a form that is filled in from a record, a file, a comparison."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.web.made import RECORDS
from tests.web.served import write_records
from tests.web.test_browser import TIMEOUT, programs  # noqa: F401 - a fixture
from tests.web.test_try import USE, dashboard_of, write

SCRIPT = Path(__file__).with_name("try.js")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_file_is_refused_and_two_configurations_are_compared(tmp_path, programs, scripts):  # noqa: F811
    write(tmp_path, f'{USE}options = {{ word = "ham" }}\n', "other.toml")
    write_records(tmp_path / "var", *RECORDS)
    (tmp_path / "spam.eml").write_bytes(b"Subject: spam\r\n\r\nXJS*C4JDBQADN1.NSBN3*GTUBE \xe4\r\n")
    modules = Path(programs["browser-tests"].prefix[-1]).parents[1]
    with dashboard_of(write(tmp_path)) as dashboard:
        name, _, value = dashboard.logged_in(role="admin").cookie.partition("=")
        given = {
            "base": "http://{}:{}".format(*dashboard.address),
            "cookie": {"name": name, "value": value},
            "file": str(tmp_path / "spam.eml"),
            "text": "Subject: ham\n\n",
            "compare": "other.toml",
            "scripts": scripts,
        }
        done = subprocess.run(
            ["node", SCRIPT, modules, *programs["chromium"].prefix, json.dumps(given)],
            env=programs["chromium"].env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    last = found.pop("last")
    assert last[:4] == ["message", "", "mine", "deny (word)"]
    assert last[4].startswith("554 5.7.1 spam [")
    assert found == {
        "sender": "me@client.example",
        "refused": "refused",
        "why": "the plugin mine at message",
        "differing": "3 differences",
        "compared": ["differs", "Result", "", "accepted", "refused"],
        "errors": [],
        **({"serious": [], "wide": 0} if scripts else {}),
    }
