"""The pages of the dashboard: what they show, export and refuse."""

import csv
import html
import io
import json
import re
import socket
import time
from contextlib import suppress

import pytest
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web import made
from tests.web.made import MARKUP, NOW, RECORDS, accepted, refused
from tests.web.served import VIEWS, Dashboard, write_records

from gatepost.ledger.records import encode
from gatepost.ledger.store import LedgerWriter
from gatepost.web import guard

LOCAL_ONLY = re.compile(r"""(?:href|src|action|hx-get)="(?!/|#)([^"]+)""")


@pytest.fixture(scope="module")
def browser(shared):
    return shared.logged_in(role="admin")


def rows(browser, url):
    """Return the rows of an export as JSON."""
    answer = browser.get(url + ("&" if "?" in url else "?") + "format=json")
    assert answer.status == 200, answer
    return json.loads(answer.text)


def test_the_first_page_is_find(browser):
    answer = browser.get("/")
    assert (answer.status, answer.headers["Location"]) == (303, "/find")


@pytest.mark.parametrize("path", [*VIEWS, "/login", "/message/a1-1.1"])
def test_a_page_loads_nothing_from_elsewhere_and_runs_no_inline_code(browser, path):
    answer = browser.get(path)
    assert answer.status == 200
    assert LOCAL_ONLY.findall(answer.text) == []
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_ledger_without_records_has_pages_that_explain_it(tmp_path):
    write_records(tmp_path / "var")
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        for path in VIEWS:
            answer = browser.get(path)
            assert (answer.status, 'class="empty"' in answer.text) == (200, True), path


def test_without_a_ledger_the_page_has_the_reason(tmp_path):
    with Dashboard(tmp_path) as dashboard:
        answer = dashboard.logged_in().get("/find")
        assert answer.status == 503
        assert "no ledger" in answer.text


# Find


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"a1-1.1", "b2-1.1", "b3-1.1", "c4-1.1", "a5-1.1", "d1-1"}),
        ("?q=b2-1.1", {"b2-1.1"}),
        ("?q=bob@example.com", {"b2-1.1", "b3-1.1"}),
        ("?q=%5Bb2-1.1%5D", {"b2-1.1"}),
        ("?q=198.51.100.9", {"d1-1"}),
        ("?q=192.0.2.0/24", {"a1-1.1", "b2-1.1", "b3-1.1", "c4-1.1", "a5-1.1"}),
        ("?q=192.0.2.0/30", {"a1-1.1", "b2-1.1", "b3-1.1"}),
        ("?q=%3C1@client.example%3E", {"a1-1.1"}),
        ("?result=refused", {"b2-1.1", "c4-1.1", "d1-1"}),
        ("?result=deferred", {"b3-1.1"}),
        ("?result=accepted", {"a1-1.1", "a5-1.1"}),
        ("?to=carol@example.com", {"c4-1.1"}),
        ("?sender=client.example&result=deferred", {"b3-1.1"}),
        ("?ip=192.0.2.4", {"c4-1.1"}),
        ("?domain=EXAMPLE.com&plugin=dnsbl", {"b2-1.1"}),
        ("?reason=trap", {"c4-1.1"}),
        ("?q=bob@example.com&reason=listed", {"b2-1.1"}),
        ("?q=nothing.example", set()),
        ("?since=2020-01-01T00:00&until=2020-01-02T00:00", set()),
    ],
)
def test_filters_and_the_search_select_messages(browser, query, found):
    assert {row["ref"] for row in rows(browser, f"/find{query}")} == found


def test_a_search_without_a_period_has_no_limit_of_time(tmp_path):
    write_records(tmp_path / "var", accepted(1, time=NOW - 40 * 86400))
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        assert rows(browser, "/find") == []
        assert [row["ref"] for row in rows(browser, "/find?q=a1-1.1")] == ["a1-1.1"]


def test_older_messages_are_on_the_next_pages(tmp_path):
    write_records(tmp_path / "var", *map(accepted, range(1, 121)))
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        found, path = [], "/find"
        while path:
            found += [row["ref"] for row in rows(browser, path)]
            older = re.search(r'href="([^"]*)" rel="next"', browser.get(path).text)
            path = html.unescape(older[1]) if older else ""
        assert found == [f"a{number}-1.1" for number in range(1, 121)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ip=nonsense", "ip: expected an IP address"),
        ("period=1y", "period: expected one of"),
        ("since=yesterday", "since: expected a time"),
        ("since=2026-01-02T00:00&until=2026-01-01T00:00", "since: expected a time before"),
        ("zone=Mars/Olympus", "zone: expected"),
        ("zone=../../etc/passwd", "zone: expected"),
        ("result=maybe", "result: expected one of"),
        ("before=inf", "before: expected"),
        ("to=" + "x" * 1001, "to: expected at most"),
        ("to=a%00b", "to: expected at most"),
        ("q=%21%21%21", "expected a reference"),
    ],
)
def test_a_filter_that_is_none_is_reported(browser, query, expected):
    answer = browser.get(f"/find?{query}")
    assert answer.status == 400
    assert expected in html.unescape(answer.text)


# One message


def test_a_message_has_its_dialogue_the_opinions_and_the_rule(browser):
    text = browser.get("/message/c4-1.1").text
    assert "The message was refused." in text
    assert "RCPT TO:&lt;carol@example.com&gt;" in text
    assert "traps.lists" in text
    assert "250 ms" in text
    assert "gatepost traps remove trap@example.com" in text


def test_a_connection_without_a_message_has_a_page(browser):
    assert "554 5.5.0 No" in browser.get("/message/d1-1").text


def test_a_message_has_its_deliveries(browser):
    assert "mx.example.net" in browser.get("/message/a1-1.1").text


@pytest.mark.parametrize("ref", ["unknown-1.1", "x", "%00", "..%2F..%2Fetc"])
def test_an_unknown_message_is_not_found(browser, ref):
    assert browser.get(f"/message/{ref}").status == 404


# The other views


def test_outcomes_are_counted_by_result(browser):
    found = rows(browser, "/outcomes")
    sums = {name: sum(row[name] for row in found) for name in found[0] if name != "time"}
    assert sums["accepted"] == 2
    assert sums["refused"] == 2
    assert sums["deferred"] == 1
    assert sums["all"] == 5
    assert sums["day_before"] == sums["week_before"] == 0


def test_the_day_and_the_week_before_are_next_to_a_period(tmp_path):
    day = 86400
    records = [accepted(1), accepted(2, time=NOW - day), accepted(3, time=NOW - 7 * day)]
    write_records(tmp_path / "var", *records, accepted(4, time=NOW - 7 * day))
    with Dashboard(tmp_path) as dashboard:
        found = rows(dashboard.logged_in(), "/outcomes?period=24h")
        assert sum(row["day_before"] for row in found) == 1
        assert sum(row["week_before"] for row in found) == 2


def test_the_last_hour_has_no_earlier_messages(tmp_path):
    now = time.time()
    records = accepted(1, time=now - 7200), accepted(2, time=now - 60)
    write_records(tmp_path / "var", *records)
    with Dashboard(tmp_path) as dashboard:
        found = rows(dashboard.logged_in(), "/outcomes?period=1h")
        assert sum(row["all"] for row in found) == 1


@pytest.mark.parametrize("period", ["24h", "7d", "30d", "all"])
@pytest.mark.parametrize("zone", ["local", "UTC", "Asia/Kolkata"])
def test_each_period_and_zone_counts_the_same_messages(browser, period, zone):
    found = rows(browser, f"/outcomes?period={period}&zone={zone}")
    assert sum(row["all"] for row in found) == 5


def test_reasons_are_compared_with_the_period_before(tmp_path):
    day = 86400
    records = [refused(1), refused(2), refused(3, time=NOW - 1.5 * day)]
    write_records(tmp_path / "var", *records, refused(4, reason="gone", time=NOW - 1.5 * day))
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        listed, gone = rows(browser, "/reasons")
        assert (listed["reason"], listed["by"]) == ("listed", "dnsbl")
        assert (listed["count"], listed["change"], listed["share"]) == (2, 1, 1.0)
        assert (gone["reason"], gone["count"], gone["change"]) == ("gone", 0, -1)
        link = re.search(r'href="(/find[^"]*)">listed<', browser.get("/reasons").text)[1]
        refs = [row["ref"] for row in rows(browser, html.unescape(link))]
        assert refs == ["b1-1.1", "b2-1.1"]


def test_traps_have_their_hits_and_networks(browser):
    (trap,) = rows(browser, "/traps?table=traps")
    assert (trap["trap"], trap["list"], trap["hits"]) == ("trap@example.com", "verybadrcptto:3", 1)
    (network,) = rows(browser, "/traps?table=networks")
    assert (network["network"], network["hits"]) == ("192.0.2.0/24", 1)
    assert sum(row["hits"] for row in rows(browser, "/traps?table=hits")) == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"listed", "greylisted", "trap"}),
        ("?plugin=dnsbl", {"listed"}),
        ("?reason=greylisted", {"greylisted"}),
        ("?plugin=dnsbl&reason=greylisted", set()),
        ("?plugin=dns", set()),
    ],
)
def test_reasons_are_those_of_a_plugin_and_a_reason(browser, query, found):
    assert {row["reason"] for row in rows(browser, f"/reasons{query}")} == found


@pytest.mark.parametrize(
    ("to", "hits"),
    [("trap@example.com", 1), ("EXAMPLE.com", 1), ("other@example.com", 0), ("example", 0)],
)
def test_hits_are_those_of_a_trap_or_a_domain(browser, to, hits):
    found = {name: rows(browser, f"/traps?to={to}&table={name}") for name in ("traps", "networks")}
    assert {name: sum(row["hits"] for row in one) for name, one in found.items()} == {
        "traps": hits,
        "networks": hits,
    }


@pytest.mark.parametrize("path", ["/outcomes", "/reasons", "/traps"])
def test_a_view_of_sums_leads_to_the_messages_with_its_filters(browser, path):
    text = browser.get(f"{path}?period=7d").text
    assert '<a href="/find?period=7d">Find</a> has the messages' in text


def test_the_queue_has_its_next_hops_and_recipients(tmp_path):
    spool = tmp_path / "var" / "spool"
    spool.mkdir(parents=True)
    held = recipient("d@example.net", "two", due=None, reply="550 5.1.1 <b>No</b>")
    with store_at(spool / "1.db") as store:
        put(
            store,
            new_message(recipient("a@example.com"), recipient("b@example.com"), of=facts("q-1.1")),
            new_message(held, of=facts("q-1.2", "")),
        )
    write_records(tmp_path / "var")
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        one, two = rows(browser, "/queue?table=hops")
        assert (one["destination"], one["queued"], one["held"]) == ("one", 2, 0)
        assert (two["destination"], two["queued"], two["held"]) == ("two", 0, 1)
        assert two["reply"] == "550 5.1.1 <b>No</b>"
        found = [
            row["recipient"] for row in rows(browser, "/queue?table=recipients&to=example.com")
        ]
        assert found == ["a@example.com", "b@example.com"]
        assert "<b>" not in browser.get("/queue").text.partition("550 5.1.1")[2]
        scoped = dashboard.logged_in("viewer", domains=["example.net"])
        assert [row["destination"] for row in rows(scoped, "/queue?table=hops")] == ["one", "two"]
        scoped = dashboard.logged_in("other", domains=["example.com"])
        assert [row["destination"] for row in rows(scoped, "/queue?table=hops")] == ["one"]
        assert "d@example.net" not in scoped.get("/queue").text


def test_a_queue_that_cannot_be_read_is_reported(tmp_path):
    spool = tmp_path / "var" / "spool"
    spool.mkdir(parents=True)
    (spool / "1.db").write_bytes(b"damaged" * 1000)
    write_records(tmp_path / "var")
    with Dashboard(tmp_path) as dashboard:
        answer = dashboard.logged_in().get("/queue")
        assert answer.status == 503
        assert "the spool cannot be used" in answer.text


def test_health_names_what_does_not_work(browser):
    assert "no server uses" in browser.get("/health").text


# Exports


@pytest.mark.parametrize("path", VIEWS)
def test_the_exports_have_the_rows_of_the_page(browser, path):
    page = browser.get(path).text
    for url in map(html.unescape, re.findall(r'href="([^"]*format=csv)"', page)):
        answer = browser.get(url)
        found = list(csv.DictReader(io.StringIO(answer.text)))
        table = re.search(r"table=(\w+)", url)[1]
        shown = page.partition(f'id="table-{table}"')[2].partition("</section>")[0]
        assert shown.count("<tr>") - 1 == len(found) > 0
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert len(
            rows(browser, url.replace("format=csv", "format=json").partition("&format")[0])
        ) == len(found)


@pytest.mark.parametrize("query", ["format=xml", "format=csv&table=none"])
def test_an_export_that_does_not_exist_is_not_found(browser, query):
    assert browser.get(f"/find?{query}").status == 404


# Hostile text


def test_markup_of_a_client_is_text_on_each_page(tmp_path):
    write_records(tmp_path / "var", *made.hostile())
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in()
        for path in (*VIEWS, "/message/e1-1.1", "/message/e2-1", f"/find?q={'%3Cscript%3E'}"):
            text = browser.get(path).text
            assert "<script>" not in text
            assert "onerror=alert(2)>" not in text.replace("&#34;", '"').replace(
                "onerror=alert(2)&gt;", ""
            )
        assert html.escape(MARKUP.partition(">")[0]) in browser.get("/message/e1-1.1").text


def test_control_characters_of_a_client_are_escaped(tmp_path):
    write_records(tmp_path / "var", refused(1, sender="\u202egnp\x1b[2J@client.example"))
    with Dashboard(tmp_path) as dashboard:
        text = dashboard.logged_in().get("/find").text
        assert "\u202e" not in text
        assert "\\u202egnp\\x1b[2J@client.example" in text


def test_a_cell_that_looks_like_a_formula_is_text_in_a_spreadsheet(tmp_path):
    write_records(tmp_path / "var", refused(1, reason="=HYPERLINK(1)"))
    with Dashboard(tmp_path) as dashboard:
        text = dashboard.logged_in().get("/reasons?format=csv").text
        assert text.splitlines()[1].startswith("'=HYPERLINK(1),")


# Limits


def test_a_request_with_a_large_body_is_refused(shared):
    body = "x" * (guard.BODY + 1)
    assert shared.browser().post("/login", {"name": body}).status == 413


def test_a_path_that_does_not_exist_is_not_found(browser):
    assert browser.get("/nothing").status == 404
    assert browser.get("/static/..%2f..%2fapp.py").status == 404


@pytest.mark.parametrize("path", ["/find", "/login", "/first", "/message/x", "/static/app.css"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {"Host": "["}),
        ("", {"Host": ""}),
        ("", {"Origin": "http://["}),
        ("", {"Cookie": 'gatepost_session="\xff; =;;'}),
        ("", {"Content-Type": "\xff", "Accept": "\xff"}),
        ("?q=%FF%FE&next=%FF&token=%FF&since=%FF", {}),
        ("?format=%FF&table=%00", {}),
        ("?" + "&".join(f"q={number}" for number in range(2000)), {}),
        ("?&&==&", {"Range": "bytes=9-1,x"}),
    ],
)
def test_no_request_is_an_internal_error(shared, browser, path, query, headers):
    for one in (browser, shared.browser()):
        cookie = one.cookie
        one.cookie = "" if "Cookie" in headers else cookie
        for method in ("GET", "POST"):
            assert one.send(method, path + query, **headers).status < 500
        one.cookie = cookie


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
def test_other_methods_are_refused(browser, method):
    assert browser.send(method, "/find").status == 405


def test_static_files_are_served_without_a_login(shared):
    answer = shared.browser().get("/static/app.css")
    assert (answer.status, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")


@pytest.mark.parametrize(
    "octets",
    [b"\x16\x03\x01\x02\x00\r\n\r\n", b"EHLO x\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"b" * 10**6],
)
def test_octets_that_are_no_request_end_the_connection(shared, octets):
    with socket.create_connection(shared.address, 60) as client:
        with suppress(ConnectionError):  # it is closed before all has been read
            client.sendall(octets)
        assert read(client)[:12] in (b"HTTP/1.1 400", b"")
    assert shared.browser().get("/login").status == 200


def read(client):
    """Return the octets up to the end of a connection."""
    with suppress(ConnectionError):
        return client.makefile("rb").read()
    return b""


def test_a_damaged_ledger_is_reported_and_the_rest_is_shown(dashboard):
    browser = dashboard.logged_in(role="admin")
    (dashboard.folder / "ledger" / "00000000.sqlite").write_bytes(b"damaged" * 1000)
    assert {row["ref"] for row in rows(browser, "/find")} >= {"a1-1.1"}


def test_new_records_are_found_at_once(dashboard):
    browser = dashboard.logged_in(role="admin")
    writer = LedgerWriter(dashboard.folder / "ledger", 3650 * 86400.0, 1 << 30)
    writer.add([encode(accepted(9, ref="new-1.1"))])
    writer.commit()
    writer.close()
    assert [row["ref"] for row in rows(browser, "/find?q=new-1.1")] == ["new-1.1"]


def test_made_records_are_all_visible_to_an_administrator(browser):
    assert len(rows(browser, "/find")) == len(RECORDS) - 2  # a delivery and an event
