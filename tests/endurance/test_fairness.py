"""The table of attacks names the delays of an innocent client, and what fails a run."""

import pytest
from endurance.fairness import Innocent, Row, chosen_rows, run
from endurance.floods import FLOODS

(CHUNKS,) = chosen_rows("chunks-2")
(LOGINS,) = chosen_rows("plain_logins")


def row(*, at=CHUNKS, delays=(0.01,), idle=(0.001,), failures=0, **more):
    attacked = Innocent(0, 0.0, list(delays), failures)
    return Row(FLOODS[at], attacked, Innocent(0, 0.0, list(idle)), **more)


def test_a_row_without_errors_has_no_problems():
    assert row().problems == []
    assert not row().is_slow


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"replaced": 1}, "1 workers replaced"),
        ({"memory": 100 << 20}, "100 MiB for 2 connections"),
        ({"failures": 3}, "3 innocent messages failed"),
    ],
)
def test_a_row_names_its_problem(more, problem):
    assert row(**more).problems == [f"chunks-2: {problem}"]


def test_password_checks_may_use_memory():
    assert row(at=LOGINS, memory=200 << 20).problems == []
    assert row(at=LOGINS, memory=300 << 20).problems == [
        "plain_logins-20: 300 MiB for 20 connections"
    ]


def test_a_delay_counts_above_that_of_the_idle_server():
    assert row(delays=[0.2]).is_slow
    assert not row(delays=[0.2], idle=[0.19]).is_slow


def test_rows_are_chosen_by_name_or_by_kind():
    assert len(chosen_rows("")) == len(FLOODS)
    assert [FLOODS[one].name for one in chosen_rows("chunks,short_lines-1")] == [
        "chunks-2",
        "chunks-6",
        "short_lines-1",
    ]


def test_a_short_run_prints_a_line_for_each_row(tmp_path, capsys):
    names = "key_updates-1,plain_logins-20,scram_logins-20"
    found = run(tmp_path, chosen_rows(names), 1.0)
    assert all(one.rounds for one in found)
    assert [one.problems for one in found] == [[]] * 3
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "attack"
    assert [line.split()[0] for line in lines] == names.split(",")
