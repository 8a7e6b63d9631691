"""Actions on messages and senders in Chromium, each with the keyboard only."""

import time
from functools import partial
from ipaddress import ip_address

import pytest
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web.made import accepted, refused
from tests.web.served import Dashboard, write_records
from tests.web.test_allow import PEER, SPF, remember
from tests.web.test_changes import states
from tests.web.test_message_actions import HELD, TABLES

from gatepost.allow.file import read_entries
from gatepost.traps.memory import network_keys

LEARNER = """
from gatepost import Plugin

class Learner(Plugin):
    async def on_learn(self, tx, kind):
        pass
"""
STATUS, FORM = "[role=status]", "form.change"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actions-browser")
    spool = folder / "var" / "spool"
    spool.mkdir(parents=True)
    (folder / "learner.py").write_text(LEARNER)
    write_records(
        folder / "var",
        refused(1, client=PEER, ref="5f2c81d0-1.1", results=[SPF]),
        *(accepted(number, client=PEER, ref=f"q-1.{number}") for number in (2, 3)),
    )
    with store_at(spool / "1.db") as store:
        put(
            store,
            *(
                new_message(recipient(f"{name}@example.com", **HELD), of=facts(f"q-1.{number}"))
                for name, number in (("b", 2), ("c", 3))
            ),
        )
    with Dashboard(folder, TABLES) as dashboard:
        yield dashboard


@pytest.fixture
def use(act_as_admin, running):
    """Take steps with the keyboard; return what they have read."""
    return partial(act_as_admin, running, "keyboard")


def test_mail_is_allowed_from_the_page_of_a_message_and_the_entry_removed(use, running):
    found = use(
        steps=[
            {
                "open": "/message/5f2c81d0-1.1",
                "to": "Allow until…",
                "keys": ["Enter"],
                "wait": FORM,
            },
            {"to": "192.0.2.7/32", "keys": ["ArrowDown", "ArrowDown"]},
            {"to": "Why", "text": "ticket 12", "keys": ["Enter"], "wait": STATUS, "read": STATUS},
        ]
    )
    assert found[0].startswith("client.example is allowed until 20")
    [entry] = read_entries(running.folder, time.time())
    assert (entry.what, entry.note, entry.by) == ("client.example", "ticket 12", "user admin")
    found = use(
        steps=[
            {"open": "/allowed", "to": "Remove client.example", "keys": ["Enter"], "wait": FORM},
            {"keys": ["Enter"], "wait": STATUS, "read": STATUS},
        ]
    )
    assert found == ["client.example is not allowed any more."]
    assert read_entries(running.folder, time.time()) == []


@pytest.mark.parametrize("path", ["/message/5f2c81d0-1.1", "/dossier?q=192.0.2.7"])
def test_a_client_is_forgiven(use, running, path):
    remember(running, *network_keys(ip_address("192.0.2.7")))
    found = use(
        steps=[
            {"open": path, "to": "Forgive", "keys": ["Enter"], "wait": FORM},
            {"keys": ["Enter"], "wait": STATUS, "read": STATUS},
        ]
    )
    assert found[0].startswith("192.0.2.7: forgiven")


def test_held_mail_is_learned_from_the_quarantine(use):
    found = use(
        steps=[
            {"open": "/quarantine", "to": "Select 1-1", "keys": ["Space"]},
            {"to": "Learn as spam", "keys": ["Enter"], "wait": ".primary"},
            {"to": "Learn as spam", "keys": ["Enter"], "wait": STATUS, "read": STATUS},
        ]
    )
    assert found == ["1 of 1 scans learned. The messages stay where they are."]


def test_a_message_is_learned_and_removed_from_its_page(use, running):
    found = use(
        steps=[
            {"open": "/message/q-1.3", "to": "Learn as ham", "keys": ["Enter"], "wait": ".primary"},
            {"to": "Learn as ham", "keys": ["Enter"], "wait": STATUS, "read": STATUS},
            {"open": "/message/q-1.3", "to": "Remove", "keys": ["Enter"], "wait": ".primary"},
            {"to": "Remove", "keys": ["Enter"], "wait": STATUS, "read": STATUS},
        ]
    )
    assert found == [
        "1 of 1 scans learned. The messages stay where they are.",
        "1 recipient removed.",
    ]
    assert "c@example.com" not in states(running)
