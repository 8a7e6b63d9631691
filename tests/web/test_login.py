"""Login, sessions, forms, the first user, and reverse proxies."""

import re
import signal
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.made import NOW, RECORDS
from tests.web.served import PASSWORD, VIEWS, Dashboard, write_records

from gatepost.ledger.records import Notice
from gatepost.net.self_signed import self_signed
from gatepost.web.access import command_events
from gatepost.web.access.attempts import MOST_OF_ONE
from gatepost.web.access.command_events import CommandEvent, CommandEvents, EventName

WRONG = {"name": "admin", "password": "another long password"}
RIGHT = {"name": "admin", "password": PASSWORD}


@pytest.mark.parametrize("path", [*VIEWS, "/", "/message/a1-1.1"])
def test_a_page_needs_a_login(shared, path):
    shared.add("admin")
    answer = shared.browser().get(path)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/login?next=%2F")
    assert "example.com" not in answer.text


@pytest.mark.parametrize("path", VIEWS)
def test_an_export_needs_a_login(shared, path):
    assert shared.browser().get(f"{path}?format=csv").status == 401


def test_after_the_login_the_page_that_was_asked_for_follows(shared):
    shared.add("admin")
    browser = shared.browser()
    form = browser.get("/login?next=%2Freasons%3Fperiod%3D7d").text
    target = re.search(r'name="next" value="([^"]*)"', form)[1]
    answer = browser.post("/login", {**RIGHT, "next": target})
    assert (answer.status, answer.headers["Location"]) == (303, "/reasons?period=7d")
    assert browser.get("/reasons").status == 200


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb"],
)
def test_the_login_leads_to_no_other_site(shared, target):
    shared.add("admin")
    answer = shared.browser().post("/login", {**RIGHT, "next": target})
    assert (answer.status, answer.headers["Location"]) == (303, "/")


def test_the_cookie_is_for_this_site_and_not_for_scripts(shared):
    shared.add("admin")
    cookie = shared.browser().post("/login", RIGHT).headers["Set-Cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert "secure" not in parts


def test_a_wrong_name_and_a_wrong_password_have_the_same_answer(shared):
    shared.add("admin")
    one = shared.browser().post("/login", WRONG)
    other = shared.browser().post("/login", {**WRONG, "name": "unknown"})
    assert one.status == other.status == 403
    assert one.text == other.text
    assert "Set-Cookie" not in one.headers


@pytest.mark.parametrize("name", ["", "admin\x00", "*", "a b", "x" * 5000])
def test_a_name_that_cannot_be_is_wrong(shared, name):
    assert shared.browser().post("/login", {**RIGHT, "name": name}).status == 403


def test_failed_logins_of_a_client_are_limited(shared):
    shared.add("admin")
    browser = shared.browser()
    for _ in range(MOST_OF_ONE):
        assert browser.post("/login", WRONG).status == 403
    answer = browser.post("/login", RIGHT)
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_logins_that_succeed_are_not_limited(shared):
    shared.add("admin")
    answers = [shared.browser().post("/login", RIGHT) for _ in range(MOST_OF_ONE + 1)]
    assert {one.status for one in answers} == {303}


def test_a_logout_ends_the_session(shared):
    browser = shared.logged_in()
    cookie = browser.cookie
    token = browser.get("/find").token
    assert browser.post("/logout", {"token": token}).status == 303
    browser.cookie = cookie
    assert browser.get("/find").status == 303


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "0" * 64}])
def test_a_form_without_its_token_changes_nothing(shared, form):
    browser = shared.logged_in()
    assert browser.post("/logout", form).status == 403
    assert browser.get("/find").status == 200


def test_the_token_of_another_session_is_not_valid(shared):
    one, other = shared.logged_in("admin"), shared.logged_in("other")
    assert one.post("/logout", {"token": other.get("/find").token}).status == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused(shared, headers):
    browser = shared.logged_in()
    token = browser.get("/find").token
    assert browser.post("/logout", {"token": token}, **headers).status == 403
    assert shared.browser().post("/login", RIGHT, **headers).status == 403


def test_a_form_of_this_site_is_accepted_by_its_origin(shared):
    shared.add("admin")
    host = "{}:{}".format(*shared.address)
    answer = shared.browser().post("/login", RIGHT, Origin=f"http://{host}")
    assert answer.status == 303


def test_a_session_survives_the_end_of_the_process(dashboard):
    browser = dashboard.logged_in()
    dashboard.stop(signal.SIGKILL)
    dashboard.start()
    assert browser.get("/find").status == 200


def test_the_files_have_no_token_and_are_for_the_server_only(dashboard):
    browser = dashboard.logged_in()
    token = browser.cookie.partition("=")[2]
    for path in (dashboard.folder / "web").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert token.encode() not in path.read_bytes()
        assert PASSWORD.encode() not in path.read_bytes()


def test_another_password_ends_the_sessions_of_a_user(shared):
    browser = shared.logged_in()
    shared.add("admin", password="quite another password")
    assert browser.get("/find").status == 303


def test_a_user_that_was_removed_has_no_access(shared):
    browser = shared.logged_in()
    shared.users.remove("admin")
    assert browser.get("/find").status == 303


def test_users_that_cannot_be_read_let_no_user_in(dashboard):
    browser = dashboard.logged_in()
    dashboard.users.path.write_text("broken\n")
    answer = browser.get("/find")
    assert answer.status == 503
    assert "broken" not in answer.text


def test_a_session_ends_at_its_time(tmp_path):
    with Dashboard(tmp_path, session="1m") as dashboard:
        browser = dashboard.logged_in()
        path = dashboard.folder / "web/sessions.json"
        dashboard.stop()
        path.write_text(re.sub(r'"expires":[0-9.]+', '"expires":1.0', path.read_text()))
        dashboard.start()
        assert browser.get("/find").status == 303


def test_logins_are_recorded(dashboard):
    dashboard.add("admin")
    dashboard.browser().post("/login", WRONG)
    browser = dashboard.browser()
    browser.post("/login", RIGHT)
    browser.post("/logout", {"token": browser.get("/find").token})
    found = dashboard.events(3)
    assert all(type(one) is Notice for one in found)
    assert [(one.name, one.about, one.detail) for one in found] == [
        ("dashboard login failed", "admin", "from 127.0.0.3"),
        ("dashboard login", "admin", "from 127.0.0.4"),
        ("dashboard logout", "admin", "from 127.0.0.4"),
    ]


def test_changes_of_the_command_line_are_recorded(dashboard):
    event = CommandEvent(NOW, EventName.USER_ADDED, "root", "alice admin")
    events = CommandEvents(dashboard.folder)
    events.add(event)
    with events.path.open("ab") as file:
        file.write(b"damaged\n\xff\n")
    (found,) = dashboard.events(1)
    assert (found.time, found.name, found.about) == (NOW, event.name, "root")
    assert found.detail == "from the command line: alice admin"


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_any_octets_are_events_or_left_out(tmp_path_factory, lines):
    events = CommandEvents(tmp_path_factory.mktemp("events"))
    events.path.parent.mkdir()
    events.path.write_bytes(b"\n".join([*lines, b""]))
    events.add(CommandEvent(NOW, EventName.USER_ADDED, "root", ""))
    assert events.take()[-1].author == "root"


def test_the_newest_events_of_the_command_line_remain(tmp_path, monkeypatch):
    monkeypatch.setattr(command_events, "MOST", 3)
    events = CommandEvents(tmp_path)
    for number in range(5):
        events.add(CommandEvent(NOW, EventName.USER_ADDED, str(number), ""))
    assert [one.author for one in events.take()] == ["2", "3", "4"]


# Errors outside of views


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/nothing", 404, "There is no such page."),
        ("/find?format=csv", 401, "Log in first."),
        ("/static/nothing", 404, "There is no such page."),
    ],
)
def test_an_error_is_a_page_for_a_browser_and_plain_text_for_others(shared, path, status, text):
    for accept, kind in (("text/html,*/*;q=0.8", "text/html"), ("*/*", "text/plain")):
        answer = shared.browser().get(path, Accept=accept)
        assert (answer.status, text in answer.text) == (status, True)
        assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_form_without_its_token_is_answered_with_a_page(shared):
    answer = shared.logged_in().post("/logout", {}, Accept="text/html")
    assert answer.status == 403
    assert "<h1>" in answer.text


def test_with_https_the_cookie_is_for_https_only(tmp_path):
    certificate, key = self_signed("localhost")
    (tmp_path / "cert.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    tables = {"tls": {"certificates": [{"cert": "cert.pem", "key": "key.pem"}]}}
    with Dashboard(tmp_path, tables, tls=True) as dashboard:
        dashboard.add("admin")
        answer = dashboard.browser().post("/login", RIGHT)
        assert answer.status == 303
        assert "secure" in answer.headers["Set-Cookie"].lower()


def test_a_certificate_that_cannot_be_used_is_reported(tmp_path):
    tables = {"tls": {"certificates": [{"cert": "cert.pem", "key": "key.pem"}]}}
    with Dashboard(tmp_path, tables, tls=True) as dashboard:
        assert dashboard.wait() == 1
        assert "dashboard not usable" in dashboard.log()
        assert "cert.pem: cannot be read" in dashboard.log()


def test_users_that_cannot_be_read_at_the_start_are_no_first_start(tmp_path):
    dashboard = Dashboard(tmp_path)
    dashboard.add("admin")
    dashboard.users.path.write_text("broken\n")
    with dashboard:
        assert dashboard.browser().get("/find").status == 503
        assert "/first" not in dashboard.log()


# The first user


def test_the_link_of_the_first_start_adds_an_administrator_once(dashboard):
    link = dashboard.first_link()
    browser = dashboard.browser()
    assert browser.get(link).status == 200
    assert browser.post(link, RIGHT).status == 303
    assert browser.get("/health").status == 200
    assert dashboard.users.read()["admin"].role == "admin"
    assert [one.name for one in dashboard.events(1)] == ["dashboard user added"]
    again = dashboard.browser()
    assert again.post(link, {**RIGHT, "name": "other"}).status == 403
    assert again.get(link).status == 403


@pytest.mark.parametrize("link", ["/first", "/first?token=", "/first?token=guess"])
def test_without_the_token_no_first_user_is_added(dashboard, link):
    dashboard.first_link()
    assert dashboard.browser().get(link).status == 403
    assert dashboard.browser().post(link, RIGHT).status == 403
    assert dashboard.users.read() == {}


@pytest.mark.parametrize("form", [{**RIGHT, "password": "short"}, {**RIGHT, "name": "a b"}])
def test_the_first_user_can_correct_the_form(dashboard, form):
    link = dashboard.first_link()
    answer = dashboard.browser().post(link, form)
    assert answer.status == 400
    assert "expected a" in answer.text
    assert dashboard.browser().post(link, RIGHT).status == 303


def test_the_link_is_not_valid_once_there_is_a_user(dashboard):
    link = dashboard.first_link()
    dashboard.add("other")
    assert dashboard.browser().get(link).status == 403
    assert dashboard.browser().post(link, RIGHT).status == 403


def test_no_link_is_printed_if_there_are_users(tmp_path):
    dashboard = Dashboard(tmp_path)
    dashboard.add("admin")
    with dashboard:
        assert dashboard.browser().get("/login").status == 200
        assert "/first" not in dashboard.log()


# Reverse proxies


def proxied(tmp_path, **web):
    write_records(tmp_path / "var", *RECORDS)
    return Dashboard(tmp_path, **{"user_header": "Remote-User", **web})


def test_the_user_of_a_trusted_proxy_needs_no_login(tmp_path):
    with proxied(tmp_path, proxy_from=["127.0.0.0/8"]) as dashboard:
        dashboard.add("alice", password="")
        browser = dashboard.browser()
        answer = browser.get("/find", Remote_User="Alice")
        assert answer.status == 200
        assert ">alice<" in answer.text
        form = {"token": answer.token}
        assert browser.post("/logout", form, Remote_User="alice").status == 303
        assert browser.post("/logout", {}, Remote_User="alice").status == 403


def test_a_user_of_a_proxy_that_is_not_added_has_no_access(tmp_path):
    with proxied(tmp_path, proxy_from=["127.0.0.0/8"]) as dashboard:
        answer = dashboard.browser().get("/find", Remote_User="<b>mallory</b>")
        assert answer.status == 403
        assert "&lt;b&gt;mallory" in answer.text


def test_a_client_that_is_no_proxy_cannot_claim_a_user(tmp_path):
    with proxied(tmp_path, proxy_from=["192.0.2.1/32"]) as dashboard:
        dashboard.add("alice")
        assert dashboard.browser().get("/find", Remote_User="alice").status == 303


def test_each_client_of_a_unix_socket_is_a_proxy(tmp_path):
    with proxied(tmp_path, listen="unix:web.sock") as dashboard:
        dashboard.add("alice", password="")
        browser = dashboard.browser()
        assert browser.get("/find").status == 303
        headers = {"Remote_User": "alice", "X_Forwarded_For": "198.51.100.2"}
        answer = browser.get("/find", **headers)
        assert answer.status == 200
        browser.post("/logout", {"token": answer.token}, **headers)
        assert [one.detail for one in dashboard.events(1)] == ["from 198.51.100.2"]


def test_a_user_without_a_password_cannot_log_in(shared):
    shared.add("alice", password="")
    for password in ("", PASSWORD):
        form = {"name": "alice", "password": password}
        assert shared.browser().post("/login", form).status == 403


def test_the_address_of_the_client_is_the_last_that_the_proxy_reports(tmp_path):
    with Dashboard(tmp_path, proxy_from=["127.0.0.0/8"]) as dashboard:
        dashboard.add("admin")
        headers = {"X-Forwarded-For": "203.0.113.1, 198.51.100.2", "X-Forwarded-Proto": "https"}
        answer = dashboard.browser().post("/login", RIGHT, **headers)
        assert "secure" in answer.headers["Set-Cookie"].lower()
        assert [one.detail for one in dashboard.events(1)] == ["from 198.51.100.2"]


def test_fields_of_a_client_that_is_no_proxy_are_not_believed(dashboard):
    dashboard.add("admin")
    headers = {"X-Forwarded-For": "198.51.100.2", "X-Forwarded-Proto": "https"}
    answer = dashboard.browser().post("/login", RIGHT, **headers)
    assert "secure" not in answer.headers["Set-Cookie"].lower()
    assert [one.detail for one in dashboard.events(1)] == ["from 127.0.0.3"]
