import os
import time

import pytest
from click.testing import CliRunner
from tests.cli import ledgers

from gatepost.checks import system, warnings
from gatepost.cli.commands import gatepost
from gatepost.cli.shared.starter import create, starter


@pytest.fixture
def run():
    """Run a command line in this process; its result has exit_code, stdout and stderr."""

    def run(*arguments, text=None):
        result = CliRunner().invoke(gatepost, [str(one) for one in arguments], input=text)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A starter folder, as the current folder."""
    folder = tmp_path / "mail"
    texts = starter()
    dashboard = 'listen = "127.0.0.1:8025"'
    assert dashboard in texts["gatepost.toml"]  # tests in parallel cannot share a port
    texts["gatepost.toml"] = texts["gatepost.toml"].replace(dashboard, 'listen = ""')
    create(folder, texts)
    monkeypatch.chdir(folder)
    return folder


# The tables that every configuration file needs, each by its first line.
REQUIRED = {
    "[[listen]]": "[[listen]]",
    "[recipients]": '[recipients]\ndomains = ["example.com"]',
    "[[route]]": '[[route]]\nto = "discard:"',
}


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Write a configuration into an empty folder, the current one.

    It has these lines, and the required tables that they do not contain.
    """

    def configure(*lines):
        folder = tmp_path / "configured"
        folder.mkdir()
        text = "\n".join(lines)
        missing = (table for first, table in REQUIRED.items() if first not in text)
        (folder / "gatepost.toml").write_text("\n".join((text, *missing)))
        monkeypatch.chdir(folder)
        return folder

    return configure


@pytest.fixture(autouse=True)
def other_checks_only(request, monkeypatch):
    """Leave out the warning about root, except in tests that ask for `as_root`."""
    if "as_root" not in request.fixturenames:
        others = tuple(check for check in warnings.CHECKS if check is not system.root)
        monkeypatch.setattr(warnings, "CHECKS", others)


@pytest.fixture
def as_root():
    """Keep the warning about root."""
    if os.geteuid() != 0:
        pytest.skip("only root gets this warning")


@pytest.fixture
def morning(monkeypatch):
    """The time and the zone of the records in `tests.ledger.mail_records`."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", ledgers.ZONE)
        time.tzset()
        patch.setattr(time, "time", lambda: ledgers.NOW)
        yield
    time.tzset()


@pytest.fixture
def ledger(configure, morning):
    """A configured folder, the current one, with a ledger of a morning."""
    folder = configure()
    ledgers.write_morning()
    return folder
