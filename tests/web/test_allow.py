"""Allowing mail until a time, ending an entry and forgiving: what they ask, do and record."""

import asyncio
import json
import re
import time
import urllib.parse
from ipaddress import ip_address

import pytest
from tests.web.made import accepted, refused
from tests.web.served import Dashboard, write_records
from tests.web.test_api import Client, add_token, assert_problem

from gatepost.allow.entry import DAY, Entry
from gatepost.allow.file import put, read_entries
from gatepost.ledger.records import Answer, PluginResult
from gatepost.ledger.records import Client as Peer
from gatepost.plugin.clock import SystemClock
from gatepost.session.assemble import make_store
from gatepost.traps.memory import network_keys

SPF = PluginResult("spf", "pass", facts={"domain": "client.example"})
DKIM = PluginResult("dkim", "pass", facts={"domain": "signer.example"})
PEER = Peer("192.0.2.7", 5, helo="mail.client.example")
PROVEN = refused(1, client=PEER, ref="5f2c81d0-1.1", results=[SPF, DKIM])
FORGED = refused(2, client=PEER, ref="f-1.1")
MEMORY = {"plugin": [{"use": "spf"}, {"use": "trap_memory"}, {"use": "standing"}]}


@pytest.fixture(scope="module")
def shared_allow(tmp_path_factory):
    """A dashboard for all tests here; each begins without entries."""
    folder = tmp_path_factory.mktemp("allow")
    write_records(folder / "var", accepted(3), PROVEN, FORGED)
    with Dashboard(folder, MEMORY) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def admin(shared_allow):
    return shared_allow.logged_in(role="admin")


@pytest.fixture
def running(shared_allow):
    shared_allow.drop_events()
    (shared_allow.folder / "allowed").unlink(missing_ok=True)
    return shared_allow


@pytest.fixture
def browser(running, admin):
    running.drop_events()
    return admin


def allowed(running):
    return {one.what: one for one in read_entries(running.folder, time.time())}


def add(running, what="192.0.2.0/24", until=None, **fields):
    now = time.time()
    end = now + DAY if until is None else until
    entry = Entry(what, end, **{"at": now - 60, "by": "alice", "note": "ticket 12", **fields})
    put(running.folder, entry, pending=False)


def choices(page):
    return re.findall(r'name="what" value="(.*?)"', page.text)


def allow(browser, what, **fields):
    form = {"token": browser.get("/allow?q=192.0.2.1").token, "what": what, "until": "30d"}
    return browser.post("/allow", {**form, "note": "ticket 12", **fields})


# The page that asks


def test_the_page_of_a_message_offers_what_is_proven(browser):
    page = browser.get("/message/5f2c81d0-1.1")
    assert 'href="/allow?ref=5f2c81d0-1.1"' in page.text
    assert choices(browser.get("/allow?ref=5f2c81d0-1.1")) == [
        "192.0.2.7/32",
        "192.0.2.0/24",
        "client.example",
        "me@client.example",
        "signer.example",
        "to:bob@example.com",
    ]


def test_a_sender_that_is_not_proven_is_not_offered(browser):
    found = choices(browser.get("/allow?ref=f-1.1"))
    assert found == ["192.0.2.7/32", "192.0.2.0/24", "to:bob@example.com"]


@pytest.mark.parametrize(
    ("subject", "offered"),
    [
        ("192.0.2.7", ["192.0.2.7/32", "192.0.2.0/24"]),
        ("192.0.2.0/24", ["192.0.2.0/24"]),
        ("2001:db8::1", ["2001:db8::/64"]),
        ("client.example", ["client.example"]),
        ("a@b.example", ["a@b.example", "b.example", "to:a@b.example"]),
    ],
)
def test_a_dossier_offers_its_subject(browser, subject, offered):
    path = urllib.parse.quote(subject, safe="")
    page = browser.get(f"/dossier?q={path}")
    assert f'href="/allow?q={path.replace("%20", "+")}"' in page.text
    assert choices(browser.get(f"/allow?q={path}")) == offered


def test_the_page_names_what_else_is_allowed_and_what_is_replaced(running, browser):
    add(running, "outlook.com")
    page = browser.get("/allow?q=outlook.com").text
    assert "outlook.com is of a big provider: mail of all its customers is allowed too" in page
    assert "It replaces: outlook.com until " in page
    assert "at least /16" in browser.get("/allow?q=10.0.0.0/8").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/allow", 400),
        ("/allow?q=nothing", 400),
        ("/allow?q=%3Cscript%3E", 400),
        ("/allow?ref=none-1.1", 404),
        ("/allow?ref=%3Cscript%3E", 404),
        ("/allow?q=" + "x" * 2000, 400),
        ("/allowed/end?what=nothing", 400),
        ("/forgive", 400),
        ("/forgive?what=nothing", 400),
        ("/forgive?what=00000000-1.1", 400),
    ],
)
def test_a_wrong_subject_is_an_error_on_the_page(browser, path, status):
    answer = browser.get(path)
    assert answer.status == status
    assert 'role="alert"' in answer.text
    assert "<script>" not in answer.text.partition("<main")[2]


# Changes


def test_mail_is_allowed_and_that_is_recorded(running, browser):
    before = time.time()
    answer = allow(browser, "192.0.2.0/24", until="7d", traps="yes")
    assert "192.0.2.0/24 is allowed until 20" in answer.text
    entry = allowed(running)["192.0.2.0/24"]
    assert entry.until == pytest.approx(before + 7 * DAY, abs=60)
    assert (entry.by, entry.note, entry.traps) == ("user admin", "ticket 12", True)
    (event,) = running.events(1)
    assert (event.name, event.about) == ("allow entry added", "user admin")
    assert "192.0.2.0/24 until " in event.detail
    assert b'"change"' not in (running.folder / "allowed").read_bytes()


def test_a_date_comes_before_the_choice(running, browser):
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 40 * DAY))
    allow(browser, "client.example", until="7d", date=day)
    found = time.localtime(allowed(running)["client.example"].until)
    assert time.strftime("%Y-%m-%d %H:%M", found) == f"{day} 00:00"


def test_an_entry_that_is_replaced_is_named(running, browser):
    add(running)
    assert "It replaces: 192.0.2.0/24 until " in allow(browser, "192.0.2.0/24").text
    (event,) = running.events(1)
    assert event.name == "allow entry changed"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"what": "nothing"}, "expected an IP address"),
        ({"note": " "}, "note: expected a reason"),
        ({"note": "x" * 401}, "note: expected a reason"),
        ({"until": ""}, "expected a date to come"),
        ({"until": "2y"}, "expected a date to come"),
        ({"until": "500d"}, "at most a year"),
        ({"date": "2020-01-01"}, "expected a date to come"),
        ({"date": "<script>"}, "expected a date to come"),
        ({"what": "10.0.0.0/8"}, "at least /16"),
        ({"what": "to:a@b.example", "traps": "yes"}, "found a recipient"),
    ],
)
def test_a_wrong_entry_changes_nothing(running, browser, fields, expected):
    answer = allow(browser, **{"what": "192.0.2.0/24", **fields})
    assert answer.status == 400
    assert expected in answer.text
    assert "<script>" not in answer.text.partition("<main")[2]
    assert not allowed(running)


def test_a_wide_network_is_allowed_with_force(running, browser):
    allow(browser, "10.0.0.0/8", force="yes")
    assert list(allowed(running)) == ["10.0.0.0/8"]


def test_the_view_lists_entries_and_one_is_ended(running, browser):
    add(running, "client.example", note="<b>bold</b>")
    add(running, "192.0.2.0/24", until=time.time() - 1)
    page = browser.get("/allowed")
    assert "client.example" in page.text
    assert "192.0.2.0/24" not in page.text
    assert "<b>bold" not in page.text
    rows = browser.get("/allowed?table=entries&format=csv").text.splitlines()
    assert rows[0] == "what,until,traps,by,at,note"
    assert rows[1].startswith("client.example,20")
    asked = browser.get("/allowed/end?what=client.example")
    assert "Remove client.example?" in asked.text
    assert list(allowed(running)) == ["client.example"]
    done = browser.post("/allowed/end", {"token": asked.token, "what": "client.example"})
    assert "client.example is not allowed any more." in done.text
    assert not allowed(running)
    (event,) = running.events(1)
    assert event.name == "allow entry removed"
    again = browser.post("/allowed/end", {"token": asked.token, "what": "client.example"})
    assert (again.status, "may have removed it" in again.text) == (400, True)


def test_a_damaged_file_is_an_error_on_every_page(running, browser):
    (running.folder / "allowed").write_text("damaged\n")
    form = {"token": browser.get("/find").token, "what": "192.0.2.1", "until": "7d", "note": "x"}
    answers = [browser.get("/allowed"), browser.get("/allow?ref=5f2c81d0-1.1")]
    for answer in [*answers, browser.post("/allow", form), browser.post("/allowed/end", form)]:
        assert answer.status == 503
        assert "allowed:1: expected an entry" in answer.text


# Forgive


def remember(running, *keys, plugin="trap_memory"):
    async def write():
        store = make_store(running.config, SystemClock())
        for key in keys:
            await store.scope(plugin).set(key, 1, ttl=3600)
        await store.close()

    asyncio.run(write())


def test_what_is_on_record_is_forgiven_once_it_is_confirmed(running, browser):
    remember(running, "192.0.2.0/24")
    remember(running, "bad client.example", plugin="standing")
    asked = browser.get("/forgive?what=client.example")
    assert "Forgive client.example?" in asked.text
    assert re.search(r"standing</span></td>\s*<td[^>]*><span>1<", asked.text)
    form = {"token": asked.token, "what": "client.example"}
    assert "client.example: forgiven." in browser.post("/forgive", form).text
    (event,) = running.events(1)
    assert (event.name, event.about) == ("memory forgiven", "user admin")
    assert event.detail.endswith("client.example: 1 on record")
    assert (
        "Nothing is on record of client.example."
        in browser.get("/forgive?what=client.example").text
    )
    assert "client.example: nothing was on record." in browser.post("/forgive", form).text


def test_a_message_stands_for_its_client_and_its_domain(running, browser):
    assert 'href="/forgive?what=5f2c81d0-1.1"' in browser.get("/message/5f2c81d0-1.1").text
    remember(running, *network_keys(ip_address("192.0.2.7")))
    page = browser.get("/forgive?what=5f2c81d0-1.1").text
    assert "Forgive 192.0.2.7 and client.example?" in page


# Who may


FORMS = [("/allow", "192.0.2.1"), ("/allowed/end", "192.0.2.1"), ("/forgive", "192.0.2.1")]


@pytest.mark.parametrize(
    "user", [{"role": "viewer"}, {"role": "admin", "domains": ["example.com"]}]
)
def test_others_see_no_buttons_and_change_nothing(running, user):
    add(running)
    other = running.logged_in("other", **user)
    for path in ("/message/5f2c81d0-1.1", "/dossier?q=client.example", "/wrong", "/allowed"):
        page = other.get(path).text
        assert not re.search(r'href="/(allow\?|forgive|allowed/end)', page)
    for path, what in FORMS:
        token = other.get("/find").token
        assert other.get(f"{path}?what={what}&q={what}").status == 403
        form = {"token": token, "what": what, "until": "7d", "note": "x"}
        assert other.post(path, form).status == 403
    assert list(allowed(running)) == ["192.0.2.0/24"]


def test_the_list_is_not_for_users_with_domains(running):
    assert running.logged_in("viewer").get("/allowed").status == 200
    local = running.logged_in("local", role="admin", domains=["example.com"])
    assert local.get("/allowed").status == 403


@pytest.mark.parametrize("path", ["/allow", "/allowed/end", "/forgive"])
def test_a_form_without_the_token_changes_nothing(running, browser, path):
    add(running)
    form = {"what": "192.0.2.0/24", "until": "7d", "note": "x"}
    assert browser.post(path, form).status == 403
    assert browser.post(path, {**form, "token": "0" * 64}).status == 403
    foreign = {"Origin": "https://evil.example"}
    token = browser.get("/find").token
    assert browser.post(path, {**form, "token": token}, **foreign).status == 403
    assert [one.note for one in allowed(running).values()] == ["ticket 12"]


# The pages of messages


def test_the_page_of_an_allowed_message_names_the_entry(tmp_path):
    entry = "192.0.2.0/24 until 2026-12-31 09:00 UTC by alice: ticket 12"
    opinion = Answer("mail", "dnsbl", "deny", "listed", shadow=True, allowed=entry)
    write_records(tmp_path / "var", accepted(1, answers=[opinion], ref="a-1.1"))
    with Dashboard(tmp_path) as dashboard:
        page = dashboard.logged_in("viewer").get("/message/a-1.1").text
    assert f"Allowed: {entry}." in page
    assert "refused (allowed)" in page


# The API


def test_the_api_allows_lists_ends_and_forgives(running):
    client = Client(running, add_token(running, "robot", role="admin"))
    body = {"what": "Client.example", "until": "7d", "note": "ticket 12"}
    found = json.loads(client.post("/allowed/add", body).text)
    assert (found["what"], found["by"]) == ("client.example", "token robot")
    listed = client.data("/allowed")
    assert [one["what"] for one in listed["tables"]["entries"]["rows"]] == ["client.example"]
    assert client.post("/allowed/end", {"what": "client.example"}).status == 200
    assert not allowed(running)
    remember(running, "bad client.example", plugin="standing")
    answer = client.post("/forgive", {"what": "client.example"})
    assert json.loads(answer.text) == {"forgiven": {"client.example": 1}}
    names = [one.name for one in running.events(3)]
    assert names == ["allow entry added", "allow entry removed", "memory forgiven"]


BODIES = [
    ("/allowed/add", {"what": "192.0.2.1", "until": "7d", "note": "x"}),
    ("/allowed/end", {"what": "192.0.2.1"}),
    ("/forgive", {"what": "192.0.2.1"}),
]


@pytest.mark.parametrize(("path", "body"), BODIES)
@pytest.mark.parametrize(
    ("fields", "reason"),
    [({}, "role admin"), ({"role": "admin", "domains": ["example.com"]}, "not be limited")],
)
def test_the_api_is_for_administrators_without_domains(running, path, body, fields, reason):
    client = Client(running, add_token(running, "robot", **fields))
    assert_problem(client.post(path, body), 403, reason)
    assert not allowed(running)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/allowed/add", {"what": "192.0.2.1", "until": "7d"}, "note"),
        ("/allowed/add", {"what": "x", "until": "7d", "note": "x"}, "expected an IP address"),
        ("/allowed/add", {"what": "10.0.0.0/8", "until": "7d", "note": "x"}, "at least /16"),
        ("/allowed/add", {"what": "192.0.2.1", "until": "x", "note": "x"}, "a date to come"),
        ("/allowed/end", {"what": "192.0.2.1"}, "is not allowed"),
        ("/forgive", {"what": "00000000-1.1"}, "no record of"),
        ("/forgive", {"what": "x"}, "expected a reference"),
    ],
)
def test_the_api_refuses_what_is_wrong(running, path, body, reason):
    client = Client(running, add_token(running, "robot", role="admin"))
    assert_problem(client.post(path, body), 400, reason)
