"""The page of a message: its actions; and learning of messages as spam or ham."""

import re
import socket

import msgspec
import pytest
from tests.queue.spool.samples import NOW, facts, new_message, put, recipient, store_at
from tests.web.made import accepted, trapped
from tests.web.served import Dashboard, write_records
from tests.web.test_changes import history

from gatepost.checks import learning
from gatepost.config.load import config_from_dict
from gatepost.ledger.records import Trap
from gatepost.queue.spool.changes import read_changes
from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap

LEARNER = """
from gatepost import Plugin

class Learner(Plugin):
    async def on_learn(self, tx, kind):
        if kind == "ham":
            raise ValueError("no <b>ham</b> today")
        with self.path("learned").open("a") as out:
            out.write(f"{kind} {tx.id} {sum(map(len, tx.message.content()))}\\n")
"""
TABLES = {
    "route": [{"to": "lmtp://127.0.0.1:24", "mode": "queue"}],
    "plugin": [{"use": "learner.py"}, {"use": "trap_memory"}],
}
HELD = {"due": None, "reason": "spam", "holder": "score", "held": NOW}
TRAP = "old@example.com"
HIT = Trap(TRAP, TRAP, "/var/lib/gatepost/registry", 3)
OTHER = Trap("x@example.com", "x@example.com", "verybadrcptto", 1)
RECORDS = (
    accepted(1, ref="q-1.1"),
    accepted(2, ref="q-1.2"),
    msgspec.structs.replace(trapped(3), ref="t-1.1", traps=[HIT, OTHER]),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actions")
    spool = folder / "var" / "spool"
    spool.mkdir(parents=True)
    (folder / "learner.py").write_text(LEARNER)
    write_records(folder / "var", *RECORDS)
    trap = RegisteredTrap(entry=TRAP, by="test", at=1000.0)
    FileRegistry(folder / "var").change(TRAP, lambda _old: trap)
    with store_at(spool / "1.db") as store:
        put(
            store,
            new_message(recipient("a@example.com"), of=facts("q-1.1")),
            new_message(recipient("b@example.com", **HELD), of=facts("q-1.2")),
        )
    with Dashboard(folder, TABLES) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def admin(running):
    return running.logged_in(role="admin")


@pytest.fixture
def browser(running, admin):
    running.drop_events()
    return admin


def buttons(page):
    """Return the buttons of the form for the message."""
    return re.findall(r'<button name="(?:action|kind)" value="(\w+)"', page.text)


def learn(browser, kind, *names, **more):
    form = [("token", browser.get("/queue").token), ("kind", kind), *more.items()]
    return browser.post("/queue/learn", [*form, *(("message", name) for name in names)])


# Actions


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("q-1.1", ["retry", "hold", "remove", "spam", "ham"]),
        ("q-1.2", ["release", "forward", "remove", "spam", "ham"]),
        ("t-1.1", []),
    ],
)
def test_the_page_has_the_changes_for_the_state_of_the_message(browser, ref, expected):
    page = browser.get(f"/message/{ref}")
    assert buttons(page) == expected
    assert f'href="/allow?ref={ref}"' in page.text
    assert f'href="/forgive?what={ref}"' in page.text


def test_a_change_of_the_message_asks_as_that_of_the_table_does(browser):
    token = browser.get("/message/q-1.2").token
    form = {"token": token, "message": "q-1.2", "action": "release"}
    page = browser.post("/queue/change", form)
    assert "Release 1 recipient" in page.text
    assert "b@example.com" in page.text


def test_the_page_has_the_changes_of_a_registered_trap(browser):
    page = browser.get("/message/t-1.1").text
    assert f"Trap {TRAP}" in page
    actions = re.findall(r'href="/review/trap\?entry=old%40example.com&amp;action=(\w+)"', page)
    assert actions == ["armed", "retired"]
    assert "entry=x%40example.com" not in page


def test_an_administrator_of_a_domain_has_the_changes_of_the_queue_only(running):
    local = running.logged_in("local", role="admin", domains=["example.com"])
    page = local.get("/message/q-1.2")
    assert buttons(page) == ["release", "forward", "remove"]
    assert "/allow?" not in page.text
    assert "/forgive?" not in page.text
    assert "/queue/learn" not in local.get("/quarantine").text
    assert learn(local, "spam", "q-1.2", sure="yes").status == 403


def test_an_administrator_of_another_domain_has_none(running):
    other = running.logged_in("other", role="admin", domains=["client.example"])
    assert buttons(other.get("/message/q-1.2")) == []


def test_a_viewer_has_no_actions(running):
    viewer = running.logged_in("viewer")
    page = viewer.get("/message/q-1.2")
    assert buttons(page) == []
    assert "/allow?" not in page.text
    assert learn(viewer, "spam", "q-1.2", sure="yes").status == 403


def test_without_a_spool_the_page_has_no_changes_of_the_queue(tmp_path):
    write_records(tmp_path / "var", *RECORDS)
    (tmp_path / "var" / "spool").write_text("no folder")
    with Dashboard(tmp_path, {"route": TABLES["route"]}) as dashboard:
        page = dashboard.logged_in(role="admin").get("/message/q-1.2")
    assert page.status == 200
    assert buttons(page) == []


# Learning


def test_the_quarantine_has_the_buttons(browser):
    page = browser.get("/quarantine").text
    assert page.count('formaction="/queue/learn"') == 2


def test_learning_asks_first_and_names_the_messages(running, browser):
    page = learn(browser, "spam", "1-2")
    assert "b@example.com" in page.text
    assert "Learn as spam</button>" in page.text
    assert not (running.folder / "learner" / "learned").exists()


def test_a_message_is_learned_and_that_is_recorded(running, browser):
    page = learn(browser, "spam", "q-1.2", sure="yes")
    assert "learned as spam" in page.text
    assert "1 of 1 scans learned" in page.text
    (event,) = running.events(1)
    assert (event.name, event.about) == ("mail learned", "user admin")
    assert event.detail.endswith(": spam: q-1.2: 1 of 1 scans learned")
    _, made = history(running, read_changes)
    assert [(one.kind, one.author, one.detail) for one in made] == [
        ("learned", "user admin", "as spam by learner")
    ]


def test_the_page_has_the_problem_of_each_scanner(browser):
    page = learn(browser, "ham", "q-1.2", sure="yes").text
    assert "no &lt;b&gt;ham&lt;/b&gt; today" in page
    assert "0 of 1 scans learned" in page


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("drop", ["1-2"]),
        ("spam", []),
        ("spam", [f"1-{n}" for n in range(21)]),
        ("ham", ["x" * 101]),
    ],
)
def test_a_wrong_form_learns_nothing(browser, kind, names):
    assert learn(browser, kind, *names, sure="yes").status == 400


def test_a_message_that_has_gone_is_no_error(browser):
    assert "is in the queue any more" in learn(browser, "spam", "1-99").text
    assert "0 of 0 scans learned" in learn(browser, "spam", "1-99", sure="yes").text


def test_a_form_without_the_token_learns_nothing(browser):
    form = {"kind": "spam", "message": "q-1.2", "sure": "yes"}
    assert browser.post("/queue/learn", form).status == 403
    assert browser.get("/queue/learn").status == 405


def test_the_time_for_all_messages_is_limited(running):
    """A scanner that does not answer: the first message waits, the others are not asked."""
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{silent.getsockname()[1]}"
    tables = {"plugin": [{"use": "spamassassin", "options": {"server": address}}]}
    config = config_from_dict(tables, running.folder.parent)
    spool = running.folder / "spool"
    messages = [*learning.stored(spool, "1-1", ["a@example.com"])] * 3
    found = learning.learn_all(config, messages, "spam", 0.2)
    silent.close()
    assert [one.problem for one in found] == [
        "no answer within the time-out",
        *["not asked: the time is over"] * 2,
    ]
