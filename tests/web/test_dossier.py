"""The view Dossier: what it counts, and the links that lead to it."""

import html
import json
import re

import pytest
from tests.web import made
from tests.web.made import MARKUP, NOW, accepted
from tests.web.served import Dashboard, write_records

from gatepost.web.filters import Filters
from gatepost.web.subjects import dossier


@pytest.fixture(scope="module")
def browser(shared):
    return shared.logged_in(role="admin")


def rows(browser, query, table):
    answer = browser.get(f"/dossier?{query}&table={table}&format=json")
    assert answer.status == 200, answer
    return json.loads(answer.text)


def test_without_a_subject_the_page_explains_what_to_enter(browser):
    text = browser.get("/dossier").text
    assert "Enter a client, a network, a domain or an address." in text
    assert 'name="q"' in text


@pytest.mark.parametrize(
    ("subject", "counts"),
    [
        ("192.0.2.0/24", (2, 1, 2)),
        ("192.0.0.0/16", (2, 1, 2)),
        ("192.0.2.4", (0, 0, 1)),
        ("bob@example.com", (0, 1, 1)),
        ("BOB@EXAMPLE.COM", (0, 1, 1)),
        ("client.example", (2, 1, 2)),
        ("unknown.example", (0, 0, 0)),
    ],
)
def test_the_messages_of_a_subject_are_counted_by_result(browser, subject, counts):
    found = rows(browser, f"q={subject}", "history")
    names = ("accepted", "deferred", "refused")
    assert tuple(sum(row[name] for row in found) for name in names) == counts


def test_a_dossier_has_reasons_checks_traps_and_related_values(browser):
    subject = "q=192.0.2.0/24"
    reasons = {
        (row["by"], row["reason"], row["count"]) for row in rows(browser, subject, "reasons")
    }
    assert reasons == {
        ("dnsbl", "listed", 1),
        ("greylist", "greylisted", 1),
        ("gatepost", "trap", 1),
    }
    (check,) = rows(browser, subject, "checks")
    assert (check["check"], check["result"], check["count"]) == ("spf", "pass", 1)
    (trap,) = rows(browser, subject, "traps")
    assert (trap["trap"], trap["list"], trap["count"]) == ("trap@example.com", "verybadrcptto:3", 1)
    (network,) = rows(browser, subject, "networks")
    assert (network["network"], network["count"]) == ("192.0.2.0/24", 5)
    (domain,) = rows(browser, subject, "senders")
    assert (domain["domain"], domain["count"]) == ("client.example", 5)


def test_a_connection_that_was_refused_is_in_the_dossier_of_the_client(browser):
    text = browser.get("/dossier?q=198.51.100.9").text
    assert re.search(r'Refused connections</span> <span class="figure">1<', text)


def test_the_oldest_and_the_last_record_are_named(tmp_path):
    write_records(tmp_path / "var", accepted(1, time=NOW - 40 * 86400), accepted(1))
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        assert len(rows(browser, "q=192.0.2.1", "history")) == 2
        assert len(rows(browser, "q=192.0.2.1&period=24h", "history")) == 1
        assert "First seen" in browser.get("/dossier?q=192.0.2.1").text


@pytest.mark.parametrize("text", ["b2-1.1", "!!!", "nothing"])
def test_a_text_without_a_dossier_is_reported(browser, text):
    answer = browser.get(f"/dossier?q={text}")
    assert (answer.status, "expected" in answer.text) == (400, True)


@pytest.mark.parametrize("path", ["/find", "/traps", "/message/c4-1.1"])
def test_other_pages_have_links_to_dossiers(browser, path):
    links = re.findall(r'href="(/dossier\?[^"]*)"', browser.get(path).text)
    assert links
    for link in links:
        assert browser.get(html.unescape(link)).status == 200


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("alice@example.com +2", "address", "/dossier?q=alice%40example.com"),
        ("<>", "address", "/dossier?q=%3C%3E"),
        ("(another recipient)", "address", ""),
        ("192.0.2.1", "client", "/dossier?q=192.0.2.1"),
        ("192.0.2.0/24", "client", "/dossier?q=192.0.2.0%2F24"),
        ("/run/milter.sock", "client", ""),
        ("example.com", "domain", "/dossier?q=example.com"),
        ("localhost", "domain", ""),
        ("a\u202eb@example.com", "address", ""),
        ("a" * 2000 + "@example.com", "address", ""),
        ("alice@example.com", "text", ""),
        ("", "address", ""),
    ],
)
def test_a_value_has_a_link_if_it_has_a_dossier(value, kind, found):
    assert dossier(value, kind, Filters()) == found


def test_markup_of_a_client_is_text_in_a_dossier(tmp_path):
    write_records(tmp_path / "var", *made.hostile())
    with Dashboard(tmp_path) as dashboard:
        text = dashboard.logged_in().get("/dossier?q=192.0.2.66").text
        assert html.escape(MARKUP.partition(">")[0]) in text
        assert "<script>" not in text
        assert "<img src=x" not in text
