"""The page about monitoring is true: status, exit status, the sample program."""

import asyncio
import importlib.util

from tests.docs.pages import blocks, rows, section

from gatepost.checks.health import QueueHealth, ServerHealth, WorkerHealth
from gatepost.cli.status import Level, level_of, lines
from gatepost.metrics.health import CHECKS
from gatepost.metrics.http import MOST_CONNECTIONS, SECONDS
from gatepost.metrics.report import EXPIRES_SOON
from gatepost.metrics.status import INTERVAL
from gatepost.metrics.tables import MOST_VALUES
from gatepost.plugin.latency import SAMPLING
from gatepost.process.state import Reload, State

DAY = 86_400.0
NOW = 1_700_000_000.0


def test_the_sample_of_the_status_has_the_lines_of_the_command():
    state = State("0.1.0", 814, NOW - 3 * DAY, [], 2, reload=Reload(NOW))
    workers = [WorkerHealth(820, True, 3), WorkerHealth(821, True, 4)]
    health = ServerHealth(True, state, workers, QueueHealth(1, 12, 0, 5400.0), (), (), ())
    printed = list(lines(health, level_of(health), NOW))
    shown = blocks("monitoring", "text")[0].splitlines()
    assert len(shown) == len(printed)
    for found, expected in zip(printed, shown, strict=True):
        if expected.startswith(("since", "reload")):
            assert found.split()[0] == expected.split()[0]
            assert (
                found.partition(":")[2][5:].split()[1:]
                == expected.partition(":")[2][5:].split()[1:]
            )
        else:
            assert found == expected


def test_every_exit_status_is_listed():
    found = [(int(row[0]), row[1]) for row in rows(section("monitoring", "Status"))]
    assert found == [(level.value, level.name) for level in Level]


def test_every_path_of_the_health_check_is_listed():
    text = " ".join(row[0] for row in rows(section("monitoring", "Health check")))
    assert {word.strip("`,") for word in text.split()} == set(CHECKS)


def test_the_numbers_are_those_of_the_code():
    text = " ".join(section("monitoring", "Metrics").split())
    assert f"every {INTERVAL:g} seconds" in text
    assert f"at most {MOST_VALUES} values" in text
    assert f"one stage in {SAMPLING}," in section("monitoring", "The time of plugins")
    check = section("monitoring", "Health check")
    assert f"At most {MOST_CONNECTIONS} connections" in check
    assert f"for {SECONDS:g} seconds" in check
    assert f"within {EXPIRES_SOON / DAY:g} days" in section("monitoring", "Status")


def test_the_program_prints_the_figures(tmp_path, monkeypatch, capsys):
    (code,) = blocks("monitoring", "python")
    path = tmp_path / "expose.py"
    path.write_text(code)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("docs_expose", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asyncio.run(module.main())
    assert "gatepost_sessions_open 0.0\n" in capsys.readouterr().out
