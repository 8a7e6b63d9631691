"""`gatepost dmarc report`: tables, JSON, and the files of aggregate reports."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from tests.checks.dmarc.samples import MORNING, transaction
from tests.cli import ledgers
from tests.docs.pages import DOCS, blocks_of, rows, section
from tests.mailauth.dmarc.test_report import VALIDATE, read, value, values
from tools import peers

from gatepost.checks.dmarc.collect import collect
from gatepost.cli import dmarc
from gatepost.cli.dmarc import report

PAGE = DOCS / "shipped/dmarc.md"
TITLE = "Who fails, and reports for domain owners"

SINCE = ["--since", "2026-11-28T00:00+00:00", "--until", "2026-11-30T00:00+00:00"]


@pytest.fixture
def mail(configure, morning):
    """A ledger with mail of two days for two domains."""
    folder = configure('[server]\nhostname = "mx.example.com"')
    ledgers.write(
        transaction("pass", time=MORNING - 86400),
        transaction(),
        transaction(),
        transaction(address="2001:db8::1", result="refused"),
        transaction(domain="example.net", record="example.net", rua=""),
    )
    return folder


def test_the_page_shows_the_output_of_the_command(run, mail):
    (example,) = blocks_of(PAGE, "console")
    first, _, output = example.partition("\n")
    assert run(*first.removeprefix("$ gatepost ").split()).stdout == output


def test_the_page_has_every_option():
    table = "".join(row[0] for row in rows(section("shipped/dmarc", TITLE)))
    options = {one.opts[0] for one in report.params} - {"-c", "--no-color"}
    assert {one for one in options if f"`{one}`" in table} == options


def test_a_domain_can_be_chosen_and_the_rows_limited(run, mail):
    output = json.loads(run("dmarc", "report", "--json", "--domain", "Example.NET", *SINCE).stdout)
    assert [one["domain"] for one in output["failures"]] == ["example.net"]
    output = json.loads(run("dmarc", "report", "--json", "--top", 1, *SINCE).stdout)
    assert (len(output["domains"]), len(output["failures"])) == (1, 1)


def test_without_results_a_line_is_printed(run, ledger):
    assert run("dmarc", "report").stdout.endswith("No results of DMARC\n")
    assert run("dmarc", "report", "--out", "reports").stdout == "No domain requests reports\n"


def test_a_file_for_each_day_of_a_domain_that_requests_reports(run, mail):
    result = run("dmarc", "report", "--out", "reports", *SINCE)
    assert result.exit_code == 0
    names = result.stdout.splitlines()
    assert sorted(names) == sorted(str(one) for one in Path("reports").iterdir())
    prefix = "reports/mx.example.com!example.org!"
    first, second = sorted(names)  # the second day is not over
    assert first.startswith(f"{prefix}1795824000!1795910399!")
    assert second.startswith(f"{prefix}1795910400!1795939499!")
    assert second.endswith(".xml.gz")


def test_a_long_period_reads_only_days_that_have_records(run, mail, monkeypatch):
    read = []
    monkeypatch.setattr(dmarc, "collect", lambda *a: read.append(a) or collect(*a))
    run("dmarc", "report", "--since", "1970-01-01", "--until", "9999-12-30")
    assert len(read) == 2


def test_a_report_has_the_rows_of_the_day(run, mail):
    run("dmarc", "report", "--out", "reports", "--email", "dmarc@example.com", *SINCE)
    root = read(gzip.decompress(max(Path("reports").iterdir()).read_bytes()))
    assert value(root, "report_metadata/email") == "dmarc@example.com"
    assert value(root, "policy_published/adkim") == "s"
    assert values(root, "record/row/count") == ["2", "1"]
    assert values(root, "record/row/policy_evaluated/disposition") == ["none", "reject"]


def test_the_same_report_is_the_same_file(run, mail):
    run("dmarc", "report", "--out", "reports", *SINCE)
    before = {one: one.read_bytes() for one in Path("reports").iterdir()}
    run("dmarc", "report", "--out", "reports", *SINCE)
    assert {one: one.read_bytes() for one in Path("reports").iterdir()} == before


def test_files_are_listed_as_json(run, mail):
    output = json.loads(run("dmarc", "report", "--json", "--out", "reports", *SINCE).stdout)
    assert sorted(output["files"]) == sorted(map(str, Path("reports").iterdir()))


def test_a_folder_that_cannot_be_written_is_a_failure(run, mail):
    Path("reports").write_text("a file")
    result = run("dmarc", "report", "--out", "reports", *SINCE)
    assert result.exit_code == 1
    assert "reports" in result.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--since", "1h", "--until", "2h"], "--until: expected a time after --since"),
        (["--domain", "a@b"], "--domain: "),
    ],
)
def test_wrong_options_name_what_is_expected(run, mail, options, expected):
    result = run("dmarc", "report", *options)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_files_are_valid_by_the_schema(run, mail):
    command = peers.find("pydmarc")
    if command is None:
        pytest.skip(f"pydmarc: {peers.missing(['pydmarc'])['pydmarc']}")
    run("dmarc", "report", "--out", "reports", *SINCE)
    texts = [gzip.decompress(one.read_bytes()).decode() for one in Path("reports").iterdir()]
    done = subprocess.run(
        command.argv("-c", VALIDATE),
        env=command.env,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "valid\n", done.stderr[-2000:]
