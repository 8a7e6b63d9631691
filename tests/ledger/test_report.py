"""Reports: totals of a period as sections, in text, in HTML and as data."""

import json
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.ledger.made import cells
from tests.ledger.mail_records import ANY_RECORD, MORNING, RECORDS, TEXTS, ZONE

from gatepost.ledger.records import PluginResult
from gatepost.ledger.totals import Sum, Totals
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.html import as_html
from gatepost.ledger.words.plain_json import json_text
from gatepost.ledger.words.report import QueueDepth, report
from gatepost.ledger.words.sections import BAR, as_data, as_text

DAY = 86400
QUEUE = [QueueDepth("lmtp://127.0.0.1:24", 3, 1)]
DEPTHS = st.builds(QueueDepth, TEXTS, st.integers(0, 2**40), st.integers(0, 2**40))
# Elements that the report has.
TAGS = {"html", "head", "meta", "title", "body", "h1", "h2", "table", "tr", "th", "td", "p"}


def totals(records, since=MORNING, until=MORNING + 3600):
    found = Sum(since, until)
    for (hour, dimension), counts in cells(*records):
        found.add(hour, dimension, counts, 0)
    return found.totals()


def made(records=RECORDS, top=10, **options):
    return report(totals(records, **options), QUEUE, top, ZONE)


def section(name, **options):
    return next(one for one in made(**options).sections if one.name == name)


def text(found, width=80):
    return [plain(line) for line in as_text(found, width, ZONE)]


def test_volumes_are_counted():
    rows = dict(section("volumes").rows)
    assert rows["messages accepted"] == 1
    assert rows["messages refused"] == 1
    assert rows["messages deferred"] == 1
    assert rows["deliveries of the queue"] == 1
    assert rows["recipients accepted"] == 3


def test_reasons_have_their_author():
    assert ("trap", "gatepost", 1) in section("reason").rows
    assert ("greylisted", "greylist", 1) in section("reason").rows


def test_domains_have_the_results_of_dmarc():
    found = [("fail", "a.example"), ("pass", "b.example"), ("pass", "b.example")]
    records = [
        msgspec.structs.replace(
            RECORDS[0], results=[PluginResult("dmarc", value, facts={"domain": domain})]
        )
        for value, domain in found
    ]
    assert section("dmarc", records=records).rows == [
        ("b.example", 2, 0, 0, 0),
        ("a.example", 0, 1, 0, 0),
    ]


def test_the_report_names_what_administrators_look_for():
    assert section("trap").rows == [("verybadrcptto:12 trap@example.com", 1)]
    assert section("end").rows == [("connections_per_ip", 1)]
    assert section("destination").rows == [("lmtp://127.0.0.1:24", 1, 1, 0, 0)]
    assert section("queue").rows == [("lmtp://127.0.0.1:24", 3, 1)]
    assert section("lost").rows == [("the disk was full", 12)]
    assert section("plugin").rows[0][:2] == ("greylist", 1)
    assert ("203.0.113.0/24", 1) in section("refused_network").rows


def test_the_core_is_not_among_the_plugins():
    counts = {"plugin": {"gatepost": 5, "limits": 3, "spf": 1}, "plugin_ms": {"spf": 2500}}
    found = report(Totals(0, 3600, counts), [])
    (plugins,) = [one for one in found.sections if one.name == "plugin"]
    assert plugins.rows == [("spf", 1, 2.5)]


def test_long_sections_are_capped_and_count_the_others():
    counts = {"sender": {f"u{number}@example.org": number for number in range(1, 30)}}
    (senders,) = report(Totals(0, 3600, counts, {"sender": 7}), [], 3).sections[1:]
    assert [row[0] for row in senders.rows] == [f"u{n}@example.org" for n in (29, 28, 27)]
    assert senders.note == "26 more are not shown; rare ones that were not counted one by one: 7"


def test_hours_have_bars_in_proportion():
    hour = int(MORNING)
    counts = {"hour": {f"{hour} accepted": 100, f"{hour + 3600} refused": 1}}
    found = text(report(Totals(MORNING, MORNING + 7200, counts), [], 10, ZONE))
    bars = {line.split()[3]: line.count("#") for line in found if "#" in line}
    assert bars == {"09:00": BAR, "10:00": 1}


@pytest.mark.parametrize(
    ("days", "title", "first"),
    [
        (1, "Messages per hour", "Sun 29 Nov 09:00"),
        (7, "Messages per day", "Sun 29 Nov"),
        (100, "Messages per month", "Nov 2026"),
    ],
)
def test_a_long_period_has_longer_rows(days, title, first):
    found = section("hours", until=MORNING + days * DAY)
    assert (found.title, found.rows[0][0]) == (title, first)


def test_an_empty_period_has_zeros():
    found = report(Totals(MORNING, MORNING + 3600), [], 10, ZONE)
    assert text(found)[:3] == [
        "Mail from Sun 29 Nov 2026 09:00:00 +0100 to Sun 29 Nov 2026 10:00:00 +0100",
        "",
        "Volumes",
    ]
    assert [one.name for one in found.sections] == ["volumes"]


def test_json_has_numbers():
    data = json.loads(json_text(as_data(made())))
    assert data["since"] == MORNING
    assert data["queue"] == [{"name": "lmtp://127.0.0.1:24", "queued": 3, "held": 1}]


class Document(HTMLParser):
    """The elements of a document, and its text; it must be balanced."""

    def __init__(self, lines):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed("\n".join(lines))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"style", "lang", "charset", "name", "content"}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)


def test_html_has_the_rows_and_both_colour_schemes():
    lines = list(as_html(made(), ZONE))
    assert '<meta name="color-scheme" content="light dark">' in lines
    assert "verybadrcptto:12 trap@example.com" in Document(lines).texts


@settings(deadline=None)
@given(st.lists(ANY_RECORD, max_size=5), st.lists(DEPTHS, max_size=3), st.sampled_from([80, 100]))
def test_any_records_give_a_safe_report(records, depths, width):
    found = report(totals(records, since=0, until=4e9), depths, 10, ZONE)
    for line in text(found, width):
        assert line.isprintable()
        assert cell_len(line) <= width
    document = list(as_html(found, ZONE))
    assert all(line.isascii() and line.isprintable() and len(line) < 998 for line in document)
    assert set(Document(document).tags) <= TAGS
    data = json_text(as_data(found))
    assert json.loads(data)["since"] == 0
    assert all(line.isprintable() for line in data.splitlines())
