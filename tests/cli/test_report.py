"""`gatepost report`: a period in text, JSON and HTML, with the queue."""

import json
from pathlib import Path

import pytest
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at


@pytest.fixture
def spool(ledger):
    """Two files: two recipients queued and one held for one destination, one for another."""
    folder = Path("var/spool")
    folder.mkdir()
    with store_at(folder / "1.db") as store:
        put(store, new_message(recipient("a@example.com"), recipient("b@example.com", "two")))
    with store_at(folder / "2.db") as store:
        held = recipient("d@example.net", due=None)
        put(store, new_message(held, recipient("c@example.com"), of=facts("s-2.1")))
    return folder


def test_a_day_is_reported(run, ledger):
    result = run("report")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "Mail from Sat 28 Nov 2026 09:00:00 +0100 to Sun 29 Nov 2026 10:00:00 +0100"
    assert "messages accepted                   1" in lines
    assert "verybadrcptto:12 trap@example.com     1" in lines
    assert max(map(len, lines)) <= 80


def test_an_earlier_day_has_other_records(run, ledger):
    data = json.loads(run("report", "--json", "--since", "yesterday", "--until", "today").stdout)
    assert {one["name"]: one["count"] for one in data["volumes"]}["messages refused"] == 0


def test_the_queue_is_counted_over_all_files(run, spool):
    queue = json.loads(run("report", "--json").stdout)["queue"]
    counts = {one["name"]: (one["queued"], one["held"]) for one in queue}
    assert sorted(counts.values()) == [(1, 0), (2, 1)]


def test_a_spool_that_cannot_be_read_is_a_warning(run, spool):
    (spool / "1.db").write_bytes(b"no database" * 1000)
    result = run("report")
    assert result.exit_code == 0
    assert "gatepost: warning: the queue is not in the report: cannot access" in result.stderr


def test_html_is_a_document(run, ledger):
    document = run("report", "--html").stdout
    assert document.startswith("<!DOCTYPE html>\n")
    assert document.endswith("</html>\n")


def test_the_number_of_rows_can_be_chosen(run, ledger):
    data = json.loads(run("report", "--json", "--top", 1).stdout)
    assert len(data["sender"]) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--html", "--json"], "expected --html or --json, not both"),
        (["--since", "1h", "--until", "2h"], "--until: expected a time after --since"),
        (["--since", "x"], "expected a time before now"),
    ],
)
def test_wrong_options_name_what_is_expected(run, ledger, options, expected):
    result = run("report", *options)
    assert result.exit_code == 2
    assert expected in result.stderr
