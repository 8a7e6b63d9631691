"""`gatepost check` names what is in shadow mode, and what it would have decided."""

import pytest
from tests.checks.replays import configuration, kept, message, recorded, session

from gatepost.checks.report import make_report
from gatepost.checks.shadow import shadow_lines
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.session.assemble import find_lists, make_setup

PLUGIN = """
from gatepost import Plugin, defer, deny

class Picky(Plugin):
    def on_mail(self, tx, sender):
        if sender.local == "bad":
            return deny("no", reason="bad sender")
        if sender.local == "odd":
            return defer("later", reason="odd")
"""
SENDERS = ["bad", "bad", "odd", "good"]


@pytest.fixture
def config(tmp_path):
    (tmp_path / "picky.py").write_text(PLUGIN)
    (tmp_path / "traps").write_text("trap@example.com\n")
    return configuration(
        tmp_path,
        server={"hostname": "mx.example.com", "data_dir": "."},
        plugin=[{"use": "picky.py", "action": "log"}],
        traps={"lists": ["traps"], "action": "shadow"},
    )


def lines(config):
    setup = make_setup(config, find_lists(config), clock=VirtualClock())
    return list(shadow_lines(config, setup, VirtualClock().time()))


def test_the_ledger_shows_what_would_have_been_refused(tmp_path, config):
    mail = [message("bob@example.com", sender=f"{one}@example.org") for one in SENDERS]
    trapped = message("trap@example.com", "bob@example.com")
    kept(tmp_path / "ledger", recorded(config, session(*mail, trapped)))
    assert lines(config) == [
        "traps: would have refused 1 message in 7 days",
        "picky: would have refused or deferred 3 times in 7 days (bad sender 2, odd 1)",
    ]


def test_a_plugin_that_found_nothing_is_named(tmp_path, config):
    kept(tmp_path / "ledger", recorded(config, session(message("bob@example.com"))))
    assert lines(config)[1] == "picky: would have refused or deferred nothing in 7 days"


def test_a_server_without_records_has_no_numbers(config):
    assert lines(config) == ["traps: no ledger yet", "picky: no ledger yet"]


def test_nothing_is_listed_without_shadow_mode(tmp_path):
    assert lines(configuration(tmp_path)) == []


def test_the_report_has_the_lines(tmp_path):
    (tmp_path / "picky.py").write_text(PLUGIN)
    (tmp_path / "gatepost.toml").write_text(
        '[server]\nhostname = "mx.example.com"\n[[listen]]\naddress = "127.0.0.1:2525"\n'
        '[[route]]\nto = "discard:"\n[recipients]\ndomains = ["example.com"]\n'
        '[[plugin]]\nuse = "picky.py"\naction = "log"\n'
    )
    found = {one.name: one.value for one in make_report(tmp_path / "gatepost.toml").summary}
    assert found["shadow mode"] == "picky: no ledger yet"
