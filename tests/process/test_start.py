"""The start of children: as forks, or as new interpreters after an upgrade."""

import importlib
import sys

import pytest

from gatepost.config.schema import Config, RouteConfig, StoreConfig
from gatepost.process import start
from gatepost.process.loaded_code import LoadedCode
from gatepost.process.start import ChildStarter

MODULE = "gatepost.process.worker_main"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that is imported, and its file."""
    path = tmp_path / "upgraded_module.py"
    path.write_text("VERSION = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("upgraded_module")
    yield path
    del sys.modules["upgraded_module"]


@pytest.mark.parametrize(
    "change", [lambda path: path.write_text("VERSION = 12\n"), lambda path: path.unlink()]
)
def test_a_changed_or_missing_module_is_noticed(module, change):
    code = LoadedCode()
    assert code.is_installed()
    change(module)
    assert not code.is_installed()


def test_children_are_forks_until_other_code_is_installed(module, monkeypatch):
    ways = []
    monkeypatch.setattr(start, "can_fork", lambda: True)
    monkeypatch.setattr(start, "fork_module", lambda *_args: ways.append("fork"))
    monkeypatch.setattr(start, "start_module", lambda *_args: ways.append("interpreter"))
    starter = ChildStarter(MODULE)
    starter(MODULE, None, 3)
    starter.notice_upgrades()
    starter(MODULE, None, 3)
    module.write_text("VERSION = 12\n")
    starter.notice_upgrades()
    starter(MODULE, None, 3)
    monkeypatch.setattr(start, "can_fork", lambda: False)
    starter(MODULE, None, 3)
    assert ways == ["fork", "fork", "interpreter", "interpreter"]


def test_the_parts_of_a_configuration_are_imported(monkeypatch):
    wanted = []
    monkeypatch.setattr(start, "import_fast", wanted.append)
    routes = [RouteConfig(to="maildir:mail"), RouteConfig(to="smtp://a"), RouteConfig(to="own:x")]
    starter = ChildStarter(MODULE)
    starter.import_parts(Config(route=routes, store=StoreConfig(url="memory")))
    assert sorted(wanted) == [
        "gatepost.delivery.maildir.maildir",
        "gatepost.delivery.smtp.relay_target",
        MODULE,
    ]
    starter.import_parts(Config(route=[RouteConfig(to="discard:", mode="queue")]))
    assert "gatepost.queue.queue" in wanted
    assert "gatepost.store.sqlite.backend" in wanted
