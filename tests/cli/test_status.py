"""`gatepost status`, with the files of a server that runs and of one that does not."""

import json
import sqlite3
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.checks import health as health_module
from gatepost.checks.health import QueueHealth, ServerHealth, WorkerHealth
from gatepost.cli.status import Level, level_of, lines
from gatepost.metrics.report import STALE, Report, WorkerReport, write_report
from gatepost.process.generations import Generations
from gatepost.process.state import Reload, State, StateFile, WorkerState

NOW = 1_700_000_000.0
WELL = State("0.1.0", 10, NOW - 7200, [WorkerState(11, True), WorkerState(12, True)], expected=2)


@pytest.fixture
def server(folder):
    """A running server of the starter folder: call it with its state."""
    data = folder / "var"
    file = StateFile()
    file.open(data)

    def write(state=WELL, report=None):
        file.update(Generations())
        (data / "status.json").write_bytes(msgspec.json.encode(state))
        if report is not None:
            (data / "ledger").mkdir(exist_ok=True)
            write_report(data / "ledger" / "status.json", report)
        return data

    yield write
    file.close()


def reported(age=0.0, warnings=()):
    workers = [WorkerReport(0, 11, NOW, 3, 0.0), WorkerReport(1, 12, NOW, 4, 0.0)]
    return Report(time.time() - age, workers, 0, warnings)


def test_a_server_that_is_well(run, server):
    server(report=reported())
    result = run("status")
    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first.startswith("OK - Gatepost 0.1.0 has run for ")
    assert first.endswith(
        " with 2 workers | sessions=7 active=0 deferred=0 held=0 quarantined=0 oldest=0s"
    )
    assert rest[0] == "version   0.1.0, process 10"
    assert rest[2:] == [
        "worker    11 ready, sessions 3",
        "worker    12 ready, sessions 4",
        "queue     active 0, deferred 0, held 0",
    ]


def test_a_server_that_does_not_run(run, folder):
    result = run("status")
    assert result.exit_code == 2
    assert result.stdout.startswith(f"CRITICAL - not running: no server uses {folder / 'var'} | ")


def test_the_state_of_a_server_that_has_ended_is_not_shown(run, server, folder):
    server()
    with (folder / "var" / "status.lock").open("r+") as lock:
        lock.close()
    (folder / "var" / "status.lock").unlink()
    assert run("status").exit_code == 2


@pytest.mark.parametrize(
    ("changes", "level", "expected"),
    [
        ({"stopping": True}, Level.WARNING, "the server is stopping"),
        ({"workers": [WorkerState(11, True)]}, Level.WARNING, "1 of 2 workers are ready"),
        (
            {"workers": [WorkerState(11, False)]},
            Level.CRITICAL,
            "no worker accepts connections",
        ),
        (
            {"reload": Reload(NOW, ["gatepost.toml: wrong"])},
            Level.WARNING,
            "the last reload failed: gatepost.toml: wrong",
        ),
    ],
)
def test_a_problem_of_the_server_is_in_the_first_line(run, server, changes, level, expected):
    server(msgspec.structs.replace(WELL, **changes), reported())
    result = run("status")
    assert result.exit_code == level
    assert result.stdout.splitlines()[0].startswith(f"{level.name} - {expected} | ")


def test_a_successful_reload_is_shown(run, server):
    server(msgspec.structs.replace(WELL, reload=Reload(NOW)), reported())
    result = run("status")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("reload    2023-11-1")
    assert result.stdout.splitlines()[-1].endswith(" ok")


def test_warnings_of_workers_are_shown(run, server):
    server(report=reported(warnings=["c.pem | expires in 3 days"]))
    result = run("status")
    assert result.exit_code == 1
    assert result.stdout.startswith("WARNING - c.pem / expires in 3 days | sessions=7 ")
    assert "warning   c.pem | expires in 3 days\n" in result.stdout


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (None, "note      the ledger has written no report: "),
        (STALE + 10_000, "note      the last report of the ledger is 2 hours old: "),
    ],
)
def test_without_a_report_less_is_shown(run, server, age, expected):
    server(report=None if age is None else reported(age))
    result = run("status")
    assert result.exit_code == 0
    assert expected in result.stdout
    assert "worker    11 ready\n" in result.stdout


def test_a_server_without_a_readable_state(run, server):
    data = server()
    (data / "status.json").write_text("{")
    result = run("status")
    assert result.exit_code == 2
    assert "has not written its state" in result.stdout


def test_a_full_disk_is_a_warning(run, server, monkeypatch):
    server(report=reported())
    usage = lambda _path: health_module.shutil._ntuple_diskusage(1 << 40, 1 << 40, 100 << 20)  # noqa: E731
    monkeypatch.setattr(health_module.shutil, "disk_usage", usage)
    result = run("status")
    assert result.exit_code == 1
    assert "the disk is nearly full: 100MiB are free" in result.stdout


def test_a_spool_that_cannot_be_read_is_a_warning(run, server, monkeypatch):
    def fails(*_arguments):
        raise sqlite3.DatabaseError("malformed")

    server(report=reported())
    monkeypatch.setattr(health_module.admin, "depth", fails)
    result = run("status")
    assert result.exit_code == 1
    assert "WARNING - the spool cannot be read: malformed | sessions=7\n" in result.stdout


def test_json_has_everything(run, server):
    server(report=reported(warnings=["one"]))
    result = run("status", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["level"], found["warnings"]) == (1, "warning", ["one"])
    assert found["workers"] == [
        {"pid": 11, "ready": True, "sessions": 3, "configured": 0.0, "retiring": False},
        {"pid": 12, "ready": True, "sessions": 4, "configured": 0.0, "retiring": False},
    ]
    assert found["state"]["since"] == NOW - 7200


def test_a_configuration_that_cannot_be_read_is_unknown(run, tmp_path):
    result = run("status", "-c", tmp_path / "none.toml")
    assert result.exit_code == 3
    assert result.stdout.startswith("UNKNOWN - ")
    assert result.stderr.startswith("gatepost: ")
    result = run("status", "--json", "-c", tmp_path / "none.toml")
    assert (result.exit_code, json.loads(result.stdout)["level"]) == (3, "unknown")


def test_a_folder_that_cannot_be_read_is_unknown(run, server, monkeypatch):
    def denied(_folder):
        raise PermissionError(13, "Permission denied", "var/status.lock")

    monkeypatch.setattr(health_module, "is_running", denied)
    result = run("status")
    assert result.exit_code == 3
    assert result.stdout == "UNKNOWN - var/status.lock: Permission denied\n"


_TEXTS = st.lists(st.text(max_size=30), max_size=2)


@given(problems=_TEXTS, warnings=_TEXTS)
def test_the_first_line_has_one_separator(problems, warnings):
    queue = QueueHealth(1, 2, 3, 4.0)
    workers = [WorkerHealth(11, True, 2)]
    health = ServerHealth(True, WELL, workers, queue, problems, warnings, ())
    level = level_of(health)
    first = next(iter(lines(health, level, NOW)))
    assert first.count("|") == 1
    assert first.startswith(f"{level.name} - ")
