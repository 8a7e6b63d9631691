"""The view Authentication: counts by From domain, alignment, policies, networks that fail."""

import html
import json
import re

import pytest
from tests.web import made
from tests.web.made import MARKUP, judged
from tests.web.served import Dashboard, write_records

from gatepost.ledger.records import PluginResult


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authentication")
    override = {"domain": "list.example", "disposition": "reject", "override": "trusted"}
    write_records(
        folder / "var",
        judged(1),
        judged(2),
        judged(3, result="fail", by="dmarc"),
        judged(4, domain="sub.client.example"),
        judged(5, domain="notclient.example", results=[PluginResult("spf", "softfail")]),
        judged(6, results=[PluginResult("dmarc", "fail", facts=override)]),
        judged(7, results=[]),
    )
    with Dashboard(folder) as dashboard:
        yield dashboard.logged_in()


def rows(browser, table, query=""):
    answer = browser.get(f"/authentication?table={table}&format=json{query}")
    assert answer.status == 200, answer
    return json.loads(answer.text)


def test_results_of_dmarc_are_counted_by_domain(browser):
    found = {row["domain"]: (row["pass"], row["fail"]) for row in rows(browser, "dmarc")}
    assert found == {"client.example": (2, 1), "sub.client.example": (1, 0), "list.example": (0, 1)}


def test_checks_have_alignment_and_the_policy_that_was_applied(browser):
    found = {row["domain"]: row for row in rows(browser, "checks")}
    one = found["client.example"]
    assert (one["messages"], one["spf"], one["spf_aligned"], one["dkim"]) == (3, 2, 2, 0)
    assert (one["policy"], one["applied"], one["dmarc"]) == ("reject", "reject 1", 2)
    assert found["list.example"]["applied"] == "overridden 1"
    assert found["notclient.example"]["messages"] == 1


def test_networks_that_fail_are_named(browser):
    found = {(row["domain"], row["network"], row["spf"]) for row in rows(browser, "failing")}
    assert found == {
        ("client.example", "192.0.2.0/24", "fail"),
        ("list.example", "192.0.2.0/24", "-"),
    }


def test_a_domain_selects_its_subdomains_and_no_others(browser):
    for table in ("dmarc", "checks"):
        found = {row["domain"] for row in rows(browser, table, "&domain=Client.Example")}
        assert found == {"client.example", "sub.client.example"}


def test_the_rows_lead_to_the_domain_alone(browser):
    link = re.search(r'href="(/authentication\?domain=[^"]*)"', browser.get("/authentication").text)
    assert browser.get(html.unescape(link[1])).status == 200


def test_markup_of_a_client_is_text(tmp_path):
    facts = {"domain": MARKUP, "policy": MARKUP, "disposition": MARKUP}
    record = judged(1, results=[PluginResult("dmarc", "fail", facts=facts)])
    write_records(tmp_path / "var", record, *made.hostile())
    with Dashboard(tmp_path) as dashboard:
        text = dashboard.logged_in().get("/authentication").text
        assert html.escape(MARKUP.partition(">")[0]) in text
        assert "<script>" not in text
        assert "<img src=x" not in text
