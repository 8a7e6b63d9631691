"""Shared by all tests: settings of Hypothesis, the marker for slow tests, a disk of their own."""

import contextlib
import logging
import math
import os
import signal
import warnings
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from tests import explained
from tools import disk
from tools.check import FAILED_TESTS

from gatepost.log import setup
from gatepost.plugin import chain

# A run in the background of a shell ignores SIGINT, and without this so would all processes that
# tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No time limit for an example: the machine may be busy.
settings.register_profile("gatepost", deadline=None)
settings.load_profile("gatepost")

TESTS = Path(__file__).parent
# Folders and files that `make check` leaves out: they start servers or many processes.
SLOW = (
    *("bench", "e2e", "endurance", "process"),
    *("guides/test_debian.py", "guides/test_dovecot.py", "guides/test_logs.py"),
    *("guides/test_postfix.py", "guides/test_shadow.py"),
    *("cli/test_demo.py", "cli/test_serve.py"),
    *("packaging/test_compile.py", "packaging/test_installs.py"),
    *("metrics/test_prometheus.py", "net/test_nsd.py", "net/test_unbound.py"),
    *("server/test_full_disk.py", "server/test_reload.py"),
    *("store/test_redis.py", "store/test_sqlite.py"),
    *("tables/test_dovecot.py", "tables/test_ldap.py", "tables/test_outages.py"),
    *("tables/test_page.py", "tables/test_postfix_protocols.py", "tables/test_redis.py"),
    "tables/test_sql.py",
    *(
        "web/test_api.py",
        "web/test_browser.py",
        "web/test_changes.py",
        "web/test_login.py",
        "web/test_pages.py",
        "web/test_scoped_pages.py",
    ),
)


# Folders of tests with servers in this process.
EXPLAINED = ("differential", "examples", "faults", "plugin", "server", "session", "traps")


def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.path.is_relative_to(TESTS / part) for part in SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter):
    """Write the names of failed tests to the file that tools/check.py prints at its end."""
    reports = [one for kind in ("failed", "error") for one in terminalreporter.getreports(kind)]
    if reports and (file := os.environ.get(FAILED_TESTS)):
        with Path(file).open("a") as names:
            names.writelines(f"{report.nodeid}\n" for report in reports)


@pytest.fixture(autouse=True)
def the_log_is_left_as_it_was():
    """Undo what a test, such as that of a command, configures; `capture_logs` leaves something too.

    Without this, events do not reach the standard logging, where other tests look for them: they
    go to structlog, or the handler of the log passes each event to itself without end.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    shown = warnings.showwarning
    yield
    structlog.reset_defaults()
    setup._output.use(None)
    root.handlers[:] = handlers
    root.setLevel(level)
    warnings.showwarning = shown


@pytest.fixture(autouse=True, scope="session")
def no_plugin_is_slow():
    """Leave out the line about slow plugins, which on a busy machine would be in any log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "SLOW_IN_PLACE", math.inf)
        patch.setattr(chain, "SLOW_SHARE", math.inf)
        yield


@pytest.fixture(autouse=True)
def every_refusal_is_explained(request, monkeypatch):
    """Check after each test of these folders that its refusals can be explained."""
    if not any(request.path.is_relative_to(TESTS / part) for part in EXPLAINED):
        yield
        return
    with explained.watching(monkeypatch) as watched:
        yield
    assert list(watched.unexplained()) == []


@pytest.fixture
def make_disk(tmp_path):
    """A function that mounts a file system of the given size in MiB, or skips the test."""
    if reason := disk.why_not(tmp_path):
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield lambda mib: stack.enter_context(disk.mounted(tmp_path / "disk", mib))
