"""The HTTP API: tokens, scopes, results, errors."""

import json
import re
import subprocess
import time

import pytest
from tests.web.made import RECORDS, accepted
from tests.web.served import Dashboard, write_records
from tests.web.streamed import Stream
from tests.web.test_scoped_pages import SECRET, records
from tools import peers

from gatepost.web.access.api_tokens import ApiToken, hash_of, new_token
from gatepost.web.api.openapi import BASE
from gatepost.web.api.operations import OPERATIONS
from gatepost.web.live.places import EACH

GETS = [
    one.path.format(ref="a1-1.1") for one in OPERATIONS if one.method == "GET" and not one.stream
]
# Requests for each operation, and seconds until the process of the fuzzer is ended.
EXAMPLES = 40
TIMEOUT = 300


class Client:
    """Sends requests with a token."""

    def __init__(self, dashboard, token):
        self._browser = dashboard.browser()
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path):
        return self._browser.get(BASE + path, **self._headers)

    def post(self, path, body, content_type="application/json"):
        return self._browser.send(
            "POST",
            BASE + path,
            body=json.dumps(body),
            Content_Type=content_type,
            **self._headers,
        )

    def data(self, path):
        answer = self.get(path)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "application/json"
        return json.loads(answer.text)


def add_token(dashboard, name="program", lifetime=3600.0, **fields):
    """Add a token and return it."""
    text = new_token()
    entry = ApiToken(name, hash_of(text), time.time() + lifetime, **fields)
    dashboard.tokens.put(entry)
    return text


def assert_problem(answer, status, text):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = json.loads(answer.text)
    assert found["status"] == status
    assert text in found["detail"]


@pytest.fixture(scope="module")
def client(shared):
    return Client(shared, add_token(shared))


@pytest.fixture(scope="module")
def scoped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoped-api")
    write_records(folder / "var", *records())
    with Dashboard(folder) as dashboard:
        yield Client(dashboard, add_token(dashboard, domains=["example.com"]))


# Tokens


@pytest.mark.parametrize("path", GETS)
def test_an_operation_needs_a_token(shared, path):
    answer = shared.browser().get(BASE + path)
    assert_problem(answer, 401, "Authorization: Bearer")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "\xff"])
def test_another_token_is_refused(shared, value):
    answer = shared.browser().get(f"{BASE}/messages", Authorization=value)
    assert_problem(answer, 401, "Authorization: Bearer")


def test_the_cookie_of_a_browser_is_no_token(shared):
    assert shared.logged_in("for-api", role="admin").get(f"{BASE}/messages").status == 401


def test_a_token_is_no_login(shared):
    token = add_token(shared, "no-login", role="admin")
    answer = shared.browser().get("/find?format=json", Authorization=f"Bearer {token}")
    assert answer.status == 401


def test_the_hash_of_a_token_is_no_token(shared):
    add_token(shared, "hashed")
    stored = shared.tokens.read()["hashed"].hash
    assert Client(shared, stored).get("/messages").status == 401


def test_a_token_that_has_expired_is_refused(shared):
    assert Client(shared, add_token(shared, "old", -1.0)).get("/messages").status == 401


def test_a_token_that_was_removed_is_refused_at_once(dashboard):
    one = Client(dashboard, add_token(dashboard))
    assert one.get("/messages").status == 200
    dashboard.tokens.remove("program")
    assert one.get("/messages").status == 401


def test_damaged_tokens_let_no_program_in_and_the_log_has_the_place(dashboard):
    one = Client(dashboard, add_token(dashboard))
    with dashboard.tokens.path.open("a") as file:
        file.write("damaged\n")
    assert_problem(one.get("/messages"), 503, "The log of the server")
    assert "web/tokens:2: expected a token" in dashboard.log()


# Results


def test_messages_are_those_of_find(client):
    found = client.data("/messages?q=bob@example.com")["tables"]["messages"]
    assert [row["ref"] for row in found["rows"]] == ["b2-1.1", "b3-1.1"]
    assert {"name": "time", "title": "Time", "kind": "time"} in found["columns"]


def test_a_message_is_explained_with_its_records(client):
    found = client.data("/messages/b2-1.1")
    assert found["ref"] == "b2-1.1"
    assert "refused" in found["headline"]
    assert any("dnsbl" in line for line in found["explanation"])
    assert found["records"][0]["reason"] == "listed"


def test_records_have_pages(client):
    first = client.data("/records?period=all&limit=3")
    second = client.data(f"/records?period=all&limit=100&before={first['next']!r}")
    refs = [one.get("ref") for one in (*first["records"], *second["records"])]
    whole = [one.get("ref") for one in client.data("/records?period=all")["records"]]
    assert (len(first["records"]), second["next"], refs) == (3, None, whole)
    assert len(whole) == len(RECORDS)


@pytest.mark.parametrize("path", GETS)
def test_an_operation_returns_json_that_is_not_stored(client, path):
    assert client.data(path)
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_messages_have_pages(tmp_path):
    write_records(tmp_path / "var", *(accepted(number) for number in range(1, 61)))
    with Dashboard(tmp_path) as dashboard:
        one = Client(dashboard, add_token(dashboard))
        first = one.data("/messages")
        second = one.data(f"/messages?before={first['next']!r}")
    pages = [page["tables"]["messages"]["rows"] for page in (first, second)]
    assert [len(rows) for rows in pages] == [50, 10]
    assert second["next"] is None


# The stream


def test_new_records_come_as_events_until_the_stream_ends(dashboard):
    headers = {"Authorization": f"Bearer {add_token(dashboard)}"}
    path = f"{BASE}/events?to=alice@example.com"
    with Stream(dashboard.browser(), f"{path}&seconds=1", **headers).opened() as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.next() is None
    page = dashboard.logged_in().get("/find").text
    after = re.search(r'data-after="([^"]+)"', page)[1]
    write_records(dashboard.folder, accepted(70), accepted(71, "bob@example.com"))
    with Stream(dashboard.browser(), f"{path}&after={after}", **headers).opened() as stream:
        event = stream.next()
    assert event.name == "records"
    assert [one["ref"] for one in json.loads(event.data)] == ["a70-1.1"]


def test_a_stream_needs_a_token_and_has_places(dashboard):
    assert_problem(dashboard.browser().get(f"{BASE}/events"), 401, "Authorization: Bearer")
    headers = {"Authorization": f"Bearer {add_token(dashboard)}"}
    open_ones = [Stream(dashboard.browser(), f"{BASE}/events", **headers) for _ in range(EACH)]
    answer = dashboard.browser().get(f"{BASE}/events", **headers)
    assert_problem(answer, 503, "5 live streams are open for you")
    for one in open_ones:
        assert one.opened().status == 200
        one.close()


# Errors


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("/messages?colour=blue", "unknown parameter 'colour': expected one of period,"),
        ("/health?q=a", "unknown parameter 'q': expected none"),
        ("/messages?q=a&q=b", "q: expected one value"),
        ("/messages?ip=wrong", "ip: expected an IP address"),
        ("/records?limit=0", "limit: expected a number from 1 to 1000"),
        ("/records?limit=1001", "limit: expected a number from 1 to 1000"),
        ("/events?seconds=0", "seconds: expected a number from 1 to 3600"),
        ("/events?period=1h", "unknown parameter 'period': expected one of sender,"),
        ("/events?after=1-1", "after: expected the id of an event of this server"),
        ("/records?limit=%D9%A1", "limit: expected a number from 1 to 1000"),
    ],
)
def test_a_wrong_parameter_is_an_error_with_what_was_expected(client, query, text):
    assert_problem(client.get(query), 400, text)


def test_unknown_paths_methods_and_references_are_problems(client):
    assert_problem(client.get("/nothing"), 404, "Not Found")
    assert_problem(client.get("/messages/none-1"), 404, "no record of this reference")
    answer = client.post("/messages", {})
    assert_problem(answer, 405, "Method Not Allowed")
    assert "GET" in answer.headers["Allow"]


def test_without_a_ledger_the_problem_has_the_reason(tmp_path):
    with Dashboard(tmp_path) as dashboard:
        answer = Client(dashboard, add_token(dashboard)).get("/messages")
    assert_problem(answer, 503, "no ledger")


# Domains


@pytest.mark.parametrize("path", ["/messages", "/records", "/outcomes", "/reasons", "/traps"])
def test_a_token_with_domains_gets_nothing_of_others(scoped, path):
    answer = scoped.get(f"{path}?period=all")
    assert answer.status == 200
    assert "example.com" in answer.text or path in ("/outcomes", "/reasons")
    assert SECRET not in answer.text


@pytest.mark.parametrize("ref", ["f1-1.1", "f2-1.1", "c7-1.1", f"{SECRET}-1"])
def test_a_token_with_domains_does_not_find_the_messages_of_others(scoped, ref):
    assert scoped.get(f"/messages/{ref}").status == 404


def test_the_health_is_for_tokens_without_domains(scoped):
    assert_problem(scoped.get("/health"), 403, "must not be limited to some domains")


# The status


def test_the_status_needs_a_login_or_a_token_without_domains(shared):
    assert shared.browser().get("/status.json").status == 401
    viewer = shared.logged_in("for-status", domains=["example.com"])
    assert viewer.get("/status.json").status == 401
    limited = add_token(shared, "limited", domains=["example.com"])
    token = add_token(shared, "unlimited")
    for value, status in ((limited, 401), (token, 503)):
        headers = {"Authorization": f"Bearer {value}"}
        assert shared.browser().get("/status.json", **headers).status == status


def test_a_public_status_has_numbers_only(tmp_path):
    write_records(tmp_path / "var", *RECORDS)
    with Dashboard(tmp_path, public_status=True) as dashboard:
        dashboard.add("admin")
        answer = dashboard.browser().get("/status.json")
    assert answer.status == 503  # no worker runs
    found = json.loads(answer.text)
    assert found.pop("time") > 0
    assert found == {
        "status": "problem",
        "running": False,
        "workers": 0,
        "queued": 0,
        "held": 0,
        "oldest": 0.0,
    }


# The document


def test_the_document_describes_each_operation_and_needs_no_token(shared):
    answer = shared.browser().get(f"{BASE}/openapi.json")
    assert answer.status == 200
    found = json.loads(answer.text)
    assert found["openapi"] == "3.1.0"
    described = {(path, method) for path, one in found["paths"].items() for method in one}
    assert described == {(one.path, one.method.lower()) for one in OPERATIONS}


def test_a_fuzzer_finds_no_internal_error_and_no_undocumented_response(tmp_path):
    fuzzer = peers.find("schemathesis")
    if fuzzer is None:
        pytest.skip("needs schemathesis")
    write_records(tmp_path / "var", *RECORDS)
    with Dashboard(tmp_path) as dashboard:
        token = add_token(dashboard, role="admin")
        url = "http://{}:{}{}/openapi.json".format(*dashboard.address, BASE)
        checks = (
            "not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance"
        )
        done = subprocess.run(
            fuzzer.argv(
                "run",
                url,
                "--header",
                f"Authorization: Bearer {token}",
                "--checks",
                checks,
                "--max-examples",
                str(EXAMPLES),
                "--seed",
                "1",
                "--generation-deterministic",
                "--exclude-path",  # a stream has no end that the fuzzer waits for
                "/events",
                "--no-color",
            ),
            env=fuzzer.env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "internal error" not in dashboard.log()
        assert "page failed" not in dashboard.log()
