"""`gatepost traps backtest`: text, JSON, options, and what is refused."""

import gzip
import json
import re
from pathlib import Path

import pytest
from tests.cli.test_terminal import on_terminal
from tests.importers.read import sample

NAMES = [f"name{number}@example.com" for number in range(12)]


@pytest.fixture
def log(tmp_path):
    """An Exim log: a dictionary attack, and a message from its network an hour later."""
    line = (
        "2020-02-22 08:00:00 H=([192.0.2.3]) [192.0.2.1] F=<x@example.net>"
        " rejected RCPT <{}>: Unrouteable address\n"
    )
    path = tmp_path / "mainlog"
    later = sample("exim-accepted").replace("[192.0.2.2]", "[192.0.2.7]")
    path.write_text("".join(map(line.format, NAMES)) + later)
    return path


PAGE = (Path(__file__).parents[2] / "docs" / "traps.md").read_text("utf-8")


def test_the_tables_of_the_page_are_those_of_the_command(run, tmp_path):
    path = tmp_path / "mainlog"
    path.write_text(sample("exim-backtest"))
    output = run("traps", "backtest", "--log", path).stdout
    section = PAGE[PAGE.index("## Back-test") : PAGE.index("### Log formats")]
    tables = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    assert len(tables) == 2
    assert all(table in output for table in tables)


def found(run, *options):
    result = run("traps", "backtest", "--json", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_result_as_json(run, log):
    result = found(run, "--log", log)
    assert result["log"]["formats"] == ["exim"]
    assert result["rules"]["many unknown recipients"]["recipients"] == 12
    assert result["rules"]["memory, 7 days"]["marked"] == 1
    assert result["networks"] == [["192.0.2.0/24", 2]]


def test_the_result_as_text(run, log):
    result = run("traps", "backtest", "--log", log)
    assert result.exit_code == 0
    assert result.stdout.startswith("Mail from Sat 22 Feb 2020 08:00:00")
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_several_files_and_compressed_ones_are_read(run, log, tmp_path):
    first, second = log.read_text().split("2020-02-22 09:10:00", 1)
    (tmp_path / "a.gz").write_bytes(gzip.compress(first.encode()))
    (tmp_path / "b").write_text("2020-02-22 09:10:00" + second)
    result = found(run, "--log", tmp_path / "a.gz", tmp_path / "b")
    assert result["rules"]["memory, 7 days"]["marked"] == 1


def test_traps_and_known_recipients_are_read_from_lists(run, log, tmp_path):
    (tmp_path / "traps").write_text("b@example.com a note\n")
    (tmp_path / "known").write_text("".join(f"{name}\n" for name in [*NAMES, "a@example.com"]))
    options = ("--log", log, "--traps", tmp_path / "traps", "--known", tmp_path / "known")
    rules = found(run, *options)["rules"]
    assert rules["trap lists"]["refused"] == 1
    assert rules["many unknown recipients"]["hits"] == 0


def test_the_format_can_be_forced(run, log):
    assert found(run, "--log", log, "--format", "postfix")["totals"]["transactions"] == 0


def test_days_and_top_limit_the_report(run, log):
    result = found(run, "--log", log, "--days", "1", "--top", "1")
    assert (result["totals"]["accepted"], len(result["senders"])) == (1, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing", None, "No such file"),
        ("other", "hello\n", "expected a log of postfix, sendmail"),
    ],
)
def test_a_file_that_is_no_log_is_reported(run, tmp_path, name, content, message):
    if content:
        (tmp_path / name).write_text(content)
    result = run("traps", "backtest", "--log", tmp_path / name)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_list_that_is_missing_is_reported(run, log, tmp_path):
    result = run("traps", "backtest", "--log", log, "--traps", tmp_path / "missing")
    assert result.exit_code == 1
    assert "missing" in result.stderr


def test_a_log_is_required(run):
    assert run("traps", "backtest").exit_code == 2


def test_control_characters_of_a_log_are_escaped(run, log):
    log.write_text(log.read_text().replace("x@example.net", "x\x1b[31m@example.net"))
    output = run("traps", "backtest", "--log", log).stdout
    assert "\x1b" not in output
    assert "x\\x1b" in output


def test_on_a_terminal_there_are_colours_and_a_bar(log):
    output = on_terminal("traps", "backtest", "--log", str(log))
    assert "\x1b[1m" in output
