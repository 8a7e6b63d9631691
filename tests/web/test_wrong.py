"""The view Wrongly refused?: which senders are good, what was refused, and shadow mode."""

import html
import json

import pytest
from tests.web.made import MARKUP, accepted, judged, refused, trapped
from tests.web.served import Dashboard, write_records

from gatepost.ledger.records import Answer, Client, PluginResult

SHADOW = Answer("rcpt", "dnsbl", "deny", "listed", shadow=True)
PROVEN = [PluginResult("spf", "pass")]
ELSEWHERE = {"client": Client("198.51.100.1")}


def rows(folder, *records, table="senders", query=""):
    write_records(folder / "var", *records)
    with Dashboard(folder) as dashboard:
        answer = dashboard.logged_in().get(f"/wrong?table={table}&format=json{query}")
        assert answer.status == 200, answer
        return json.loads(answer.text)


GOOD = (accepted(1), accepted(2), accepted(3))


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ((*GOOD, refused(4)), ["client.example"]),
        ((*GOOD, refused(4, result="deferred")), ["client.example"]),
        (GOOD, []),
        ((*GOOD[:2], refused(4)), []),
        ((judged(1, standing="acquainted"), refused(4, results=PROVEN)), ["client.example"]),
        ((judged(1, standing="stranger"), refused(4, results=PROVEN)), []),
        ((*GOOD, refused(4, **ELSEWHERE)), []),
        ((*map(judged, (1, 2, 3)), refused(4, results=PROVEN, **ELSEWHERE)), ["client.example"]),
        ((*GOOD, trapped(4)), []),
        ((*GOOD, refused(4, sender="")), []),
    ],
    ids=[
        "refused",
        "deferred",
        "accepted only",
        "short history",
        "known to standing",
        "a stranger",
        "another network, not proven",
        "another network, proven",
        "a trap hit",
        "a bounce",
    ],
)
def test_a_good_sender_with_refused_mail_is_found(tmp_path, records, found):
    assert [row["domain"] for row in rows(tmp_path, *records)] == found


def test_the_counts_and_the_last_reason_are_shown(tmp_path):
    (one,) = rows(tmp_path, *GOOD, refused(4), refused(5, reason="old", result="deferred"))
    assert (one["accepted"], one["refused"], one["deferred"]) == (3, 1, 1)
    assert (one["reason"], one["network"]) == ("dnsbl: listed", "192.0.2.0/24")


def test_a_filter_of_recipients_keeps_the_history(tmp_path):
    records = (*GOOD, refused(4, "bob@example.com"), refused(5, "carol@example.com"))
    found = rows(tmp_path, *records, table="messages", query="&to=bob@example.com")
    assert [row["recipient"] for row in found] == ["bob@example.com"]


def test_shadow_mode_is_compared_with_what_happened(tmp_path):
    records = (
        accepted(1, answers=[SHADOW]),
        accepted(2),
        accepted(3),
        accepted(4, sender="x@other.example", answers=[SHADOW]),
        refused(5, sender="x@third.example", answers=[SHADOW]),
    )
    (one,) = rows(tmp_path, *records, table="shadow")
    assert (one["by"], one["reason"], one["would"]) == ("dnsbl", "listed", 3)
    assert (one["accepted"], one["good"], one["otherwise"]) == (2, 1, 1)


def test_markup_of_a_client_is_text(tmp_path):
    bad = refused(4, f"{MARKUP}@example.com", MARKUP, MARKUP)
    write_records(tmp_path / "var", *GOOD, bad)
    with Dashboard(tmp_path) as dashboard:
        text = dashboard.logged_in().get("/wrong").text
        assert html.escape(MARKUP.partition(">")[0]) in text
        assert "<script>" not in text
        assert "<img src=x" not in text
