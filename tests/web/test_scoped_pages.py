"""No page and no export shows a user with a scope what is outside of it."""

import json

import pytest
from tests.web.made import accepted, judged, refused, trapped
from tests.web.served import VIEWS, Dashboard, write_records

from gatepost.allow.entry import Entry
from gatepost.allow.file import put
from gatepost.ledger.records import Answer, Client, Connection, Delivery, Notice, RecipientRecord

SECRET, FAR = "secret", 4e9
OTHER = f"{SECRET}@other.example"
FORMATS = ("", "csv", "json")
OWN = ("192.0.2.0/24", "client.example", "example.com", "alice@example.com")
OTHERS = ("203.0.113.0/24", "203.0.113.77", "other.example", "third.example", OTHER)
DOSSIER = ("history", "reasons", "checks", "traps", "networks", "senders", "recipients")


def records():
    """Return records of example.com, of another domain, and of both."""
    foreign = {"client": Client("203.0.113.77", helo=f"{SECRET}.helo")}
    both = [RecipientRecord("alice@example.com"), RecipientRecord(OTHER, reply=f"250 {OTHER}")]
    return (
        accepted(1),
        refused(2),
        trapped(3),
        accepted(4, recipients=both, recipients_count=2, ref="both-1.1"),
        accepted(
            5, OTHER, f"{SECRET}-sender@third.example", ref="f1-1.1", subject=SECRET, **foreign
        ),
        refused(6, OTHER, f"{SECRET}-reason", f"{SECRET}-plugin", ref="f2-1.1", **foreign),
        *(judged(number, OTHER, f"{SECRET}.example", **foreign) for number in range(20, 24)),
        refused(
            8,
            OTHER,
            f"{SECRET}-reason",
            sender=f"a@{SECRET}.example",
            answers=[Answer("rcpt", f"{SECRET}-shadow", "deny", "x", shadow=True)],
            **foreign,
        ),
        trapped(7, OTHER, f"{SECRET}-trap@other.example", **foreign),
        Connection(1.0, f"{SECRET}-1", Client("203.0.113.77"), end="early-talker", reply="554 No"),
        Delivery(1.0, "f1-1.1", f"{SECRET}.hop", "delivered", [OTHER], 1),
        Notice(1.0, f"{SECRET}-notice"),
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoped")
    write_records(folder / "var", *records())
    entry = Entry(f"{SECRET}.example", FAR, 1.0, SECRET, SECRET)
    put(folder / "var", entry, pending=False)
    with Dashboard(folder) as dashboard:
        yield dashboard.logged_in("viewer", domains=["example.com"])


def urls():
    tables = {
        "/find": ["messages"],
        "/now": ["sessions"],
        "/outcomes": ["outcomes"],
        "/reasons": ["reason", "shadow_reason"],
        "/traps": ["traps", "networks", "hits"],
        "/queue": ["hops", "recipients"],
        "/dossier": ["history"],
        "/review": ["shadow", "suggested", "registered"],
        "/wrong": ["senders", "messages", "shadow"],
        "/authentication": ["dmarc", "checks", "failing"],
        "/quarantine": ["held"],
        "/allowed": ["entries"],
        "/health": ["workers", "lists"],
    }
    for path in VIEWS:
        for name in tables[path]:
            for form in FORMATS:
                yield f"{path}?period=all&table={name}&format={form}"
    for subject in OWN:
        for name in DOSSIER:
            for form in FORMATS:
                yield f"/dossier?q={subject}&table={name}&format={form}"


def test_no_page_and_no_export_has_anything_of_others(browser):
    for url in urls():
        answer = browser.get(url)
        assert SECRET not in answer.text, url
        assert "203.0.113" not in answer.text, url


@pytest.mark.parametrize(
    "query",
    [
        f"q={OTHER}",
        "q=other.example",
        "q=203.0.113.77",
        "q=203.0.113.0/24",
        "q=f1-1.1",
        "q=203.0.112.0/23",
        f"to={OTHER}",
        "to=other.example",
        f"sender={SECRET}-sender@third.example",
        "domain=other.example",
        "ip=203.0.113.77",
        f"reason={SECRET}-reason",
        f"plugin={SECRET}-plugin",
    ],
)
def test_a_filter_finds_nothing_outside_of_the_scope(browser, query):
    answer = browser.get(f"/find?period=all&{query}&format=json")
    assert json.loads(answer.text) == []


@pytest.mark.parametrize("subject", OTHERS)
@pytest.mark.parametrize("table", DOSSIER)
def test_the_dossier_of_others_is_empty(browser, subject, table):
    answer = browser.get(f"/dossier?q={subject}&table={table}&format=json")
    assert json.loads(answer.text) == []


@pytest.mark.parametrize("ref", ["f1-1.1", "f2-1.1", "c7-1.1", f"{SECRET}-1"])
def test_the_messages_of_others_are_not_found(browser, ref):
    answer = browser.get(f"/message/{ref}")
    assert answer.status == 404
    assert "other.example" not in answer.text


def test_a_message_to_both_shows_the_own_recipient_only(browser):
    text = browser.get("/message/both-1.1").text
    assert "alice@example.com" in text
    assert SECRET not in text


def test_the_own_messages_are_shown_and_counted(browser):
    found = json.loads(browser.get("/find?format=json").text)
    assert {row["ref"] for row in found} == {"a1-1.1", "b2-1.1", "c3-1.1", "both-1.1"}
    counts = json.loads(browser.get("/outcomes?format=json").text)
    assert sum(row["all"] for row in counts) == 4
    reasons = json.loads(browser.get("/reasons?format=json").text)
    assert {row["reason"] for row in reasons} == {"listed", "trap"}
    assert sum(row["hits"] for row in json.loads(browser.get("/traps?format=json").text)) == 1


def test_health_and_the_review_of_traps_are_for_users_without_a_scope(browser):
    for path in ("/health", "/review", "/review/trap?entry=trap@example.com"):
        join = "&" if "?" in path else "?"
        assert browser.get(path).status == 403
        assert browser.get(f"{path}{join}format=json").status == 403
        assert f'href="{path}' not in browser.get("/find").text


def test_two_domains_show_each_message_once(tmp_path):
    both = [RecipientRecord("a@one.example"), RecipientRecord("b@two.example")]
    write_records(
        tmp_path / "var",
        accepted(1, recipients=both, recipients_count=2),
        accepted(2, "a@one.example"),
        accepted(3, "b@two.example"),
        accepted(4, "c@three.example"),
    )
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in("viewer", domains=["one.example", "two.example"])
        found = json.loads(browser.get("/find?format=json").text)
        assert [row["ref"] for row in found] == ["a1-1.1", "a2-1.1", "a3-1.1"]
