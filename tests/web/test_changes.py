"""Changes of the queue by administrators: what they ask, change and record, and for which users."""

import re

import pytest
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web.served import Dashboard, write_records
from tests.web.test_api import Client, add_token, assert_problem

from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import Selection
from gatepost.queue.spool.changes import read_changes, read_copies
from gatepost.queue.spool.sql.database import connect

ROUTES = {"route": [{"to": "lmtp://127.0.0.1:24", "mode": "queue"}]}
HELD = {"due": None, "reason": "spam"}


@pytest.fixture
def running(tmp_path):
    """A dashboard with a queue: a queued message, and two that are held."""
    spool = tmp_path / "var" / "spool"
    spool.mkdir(parents=True)
    write_records(tmp_path / "var")
    with store_at(spool / "1.db") as store:
        put(
            store,
            new_message(recipient("a@example.com"), of=facts("q-1.1")),
            new_message(
                recipient("b@example.com", **HELD),
                recipient("c@example.net", **HELD),
                of=facts("q-1.2", "sender@example.com"),
            ),
            new_message(recipient("d@example.net", **HELD), of=facts("q-1.3")),
        )
    with Dashboard(tmp_path, ROUTES) as dashboard:
        yield dashboard


def states(dashboard):
    """Return the state of each recipient in the queue."""
    found = admin.entries(dashboard.folder / "spool", Selection(), 100)
    return {one.recipient: one.state for one in found}


def history(dashboard, read):
    connection = connect(dashboard.folder / "spool" / "1.db")
    try:
        return read(connection, 100)
    finally:
        connection.close()


def change(browser, action, *names, **more):
    """Send the form of a page; return the answer."""
    form = [("token", browser.get("/queue").token), ("action", action), *more.items()]
    return browser.post("/queue/change", [*form, *(("message", name) for name in names)])


# Pages


def test_a_change_asks_first_and_names_what_it_changes(running):
    browser = running.logged_in(role="admin")
    before = states(running)
    answer = change(browser, "release", "1-2", "1-3")
    assert answer.status == 200
    assert re.findall(r'name="message" value="(.*?)"', answer.text) == ["1-2", "1-3"]
    for address in ("b@example.com", "c@example.net", "d@example.net"):
        assert address in answer.text
    assert "Release 3 recipients" in answer.text
    assert states(running) == before


@pytest.mark.parametrize(
    ("action", "name", "after", "text"),
    [
        ("hold", "1-1", {"a@example.com": "held"}, "1 recipient held"),
        ("release", "1-3", {"d@example.net": "queued"}, "1 recipient released"),
        (
            "remove",
            "1-2",
            {"b@example.com": None, "c@example.net": None},
            "2 recipients removed",
        ),
        ("retry", "q-1.1", {"a@example.com": "queued"}, "1 recipient will be tried now"),
    ],
)
def test_a_change_is_made_and_recorded(running, action, name, after, text):
    browser = running.logged_in(role="admin")
    running.events(1)
    answer = change(browser, action, name, sure="yes")
    assert text in answer.text
    assert {one: states(running).get(one) for one in after} == after
    (event,) = running.events(1)
    assert (event.name, event.about) == ("mail changed", "user admin")
    assert re.fullmatch(
        rf"from 127\.\S+: {action}: {len(after)} recipients? of {name}", event.detail
    )
    _, made = history(running, read_changes)
    assert [one.author for one in made] == ["user admin"] * (action != "retry")


def test_a_message_is_forwarded_instead_of_its_recipients(running):
    browser = running.logged_in(role="admin")
    assert 'name="address"' in change(browser, "forward", "1-3").text
    change(browser, "forward", "1-3", sure="yes", address="post@example.com")
    (copy,) = history(running, read_copies)
    assert copy.moves
    assert "post@example.com" in copy.detail or '"post"' in copy.detail


@pytest.mark.parametrize("address", ["", "no address", "<script>@", "a@b@c"])
def test_an_address_that_is_none_changes_nothing(running, address):
    browser = running.logged_in(role="admin")
    answer = change(browser, "forward", "1-3", sure="yes", address=address)
    assert answer.status == 400
    assert "<script>" not in answer.text.partition("<main")[2]
    assert history(running, read_copies) == []


def test_a_message_that_has_gone_is_no_error(running):
    browser = running.logged_in(role="admin")
    assert "None of these messages can be changed" in change(browser, "hold", "1-99").text
    assert "0 recipients held" in change(browser, "hold", "1-99", sure="yes").text


@pytest.mark.parametrize("names", [[], ["1-1"] * 201, ["x" * 101]])
def test_no_messages_too_many_and_long_names_are_refused(running, names):
    browser = running.logged_in(role="admin")
    distinct = [f"{name}{number if len(names) > 1 else ''}" for number, name in enumerate(names)]
    answer = change(browser, "remove", *distinct, sure="yes")
    assert (answer.status, "expected 1 to 200 messages" in answer.text) == (400, True)
    assert len(states(running)) == 4


def test_an_unknown_action_is_refused(running):
    assert change(running.logged_in(role="admin"), "drop", "1-1", sure="yes").status == 400


def test_markup_in_a_name_shows_as_text(running):
    browser = running.logged_in(role="admin")
    answer = change(browser, "hold", "<script>alert(1)</script>")
    assert "<script>alert" not in answer.text


def test_a_viewer_sees_no_actions_and_can_do_none(running):
    viewer = running.logged_in("viewer")
    page = viewer.get("/queue").text
    assert "/queue/change" not in page
    assert 'type="checkbox"' not in page
    assert change(viewer, "remove", "1-1", sure="yes").status == 403
    assert len(states(running)) == 4


def test_a_form_without_the_token_changes_nothing(running):
    browser = running.logged_in(role="admin")
    form = {"action": "remove", "message": "1-1", "sure": "yes"}
    assert browser.post("/queue/change", form).status == 403
    assert browser.post("/queue/change", {**form, "token": "0" * 64}).status == 403
    token = browser.get("/queue").token
    foreign = {"Origin": "https://evil.example"}
    assert browser.post("/queue/change", {**form, "token": token}, **foreign).status == 403
    assert browser.get("/queue/change").status == 405
    assert len(states(running)) == 4


def test_an_administrator_of_a_domain_changes_its_recipients_only(running):
    """The sender of 1-2 is in the domain too, which is not enough: it can be forged."""
    browser = running.logged_in("local", role="admin", domains=["example.com"])
    answer = change(browser, "remove", "1-2", "1-3", "q-1.3")
    assert "Remove 1 recipient<" in answer.text
    assert "d@example.net" not in answer.text
    change(browser, "remove", "1-2", "1-3", "q-1.3", sure="yes")
    assert sorted(states(running)) == ["a@example.com", "c@example.net", "d@example.net"]


def test_an_administrator_of_a_domain_forwards_within_it(running):
    browser = running.logged_in("local", role="admin", domains=["example.com"])
    answer = change(browser, "forward", "1-2", sure="yes", address="me@other.example")
    assert (answer.status, "an address in your domains" in answer.text) == (400, True)
    change(browser, "forward", "1-2", sure="yes", address="me@example.com")
    (copy,) = history(running, read_copies)
    assert len(copy.rows) == 1


def test_the_quarantine_lists_what_is_held(running):
    browser = running.logged_in(role="admin")
    page = browser.get("/quarantine").text
    assert "a@example.com" not in page
    assert page.count('value="1-2"') == 2
    assert "spam" in page
    assert "d@example.net" not in browser.get("/quarantine?to=example.com").text
    assert "d@example.net" not in browser.get("/quarantine?reason=virus").text


# The API


def test_the_api_changes_messages_and_records_the_token(running):
    one = Client(running, add_token(running, role="admin"))
    answer = one.post("/queue/release", {"messages": ["1-2", "q-1.3"]})
    assert (answer.status, answer.text) == (200, '{"recipients":3}')
    assert set(states(running).values()) == {"queued"}
    (event,) = running.events(1)
    assert (event.name, event.about) == ("mail changed", "token program")


def test_the_api_forwards(running):
    one = Client(running, add_token(running, role="admin"))
    body = {"messages": ["1-3"], "address": "post@example.com"}
    assert one.post("/queue/forward", body).status == 200
    assert_problem(one.post("/queue/forward", {**body, "address": "x"}), 400, "address")
    assert len(history(running, read_copies)) == 1


def test_a_token_of_a_viewer_changes_nothing(running):
    one = Client(running, add_token(running))
    answer = one.post("/queue/remove", {"messages": ["1-1"]})
    assert_problem(answer, 403, "needs the role admin")
    assert len(states(running)) == 4


def test_a_token_with_domains_changes_their_recipients_only(running):
    one = Client(running, add_token(running, role="admin", domains=["example.net"]))
    assert one.post("/queue/remove", {"messages": ["1-1", "1-2"]}).text == '{"recipients":1}'
    assert "c@example.net" not in states(running)
    assert len(states(running)) == 3


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["1-1"] * 201}, "messages"),
        ({"messages": [1]}, "messages"),
        ({"messages": ["1-1"], "all": True}, "all"),
        ([], "object"),
    ],
)
def test_a_wrong_body_is_an_error(running, body, text):
    one = Client(running, add_token(running, role="admin"))
    assert_problem(one.post("/queue/remove", body), 400, text)
    assert len(states(running)) == 4


def test_another_media_type_is_an_error(running):
    one = Client(running, add_token(running, role="admin"))
    answer = one.post("/queue/remove", {"messages": ["1-1"]}, "text/plain")
    assert_problem(answer, 415, "application/json")
