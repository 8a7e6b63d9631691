"""The parts: draws, parameters, the world, merging, the oracle, the charts, the command line."""

import xml.etree.ElementTree as ET
from pathlib import Path
from random import Random

import pytest
from sim.__main__ import choice_of, main, parser
from sim.actors.actor import Extent
from sim.actors.machines import Robots
from sim.actors.merging import merge
from sim.control import expected
from sim.draw import DAY, arrivals, from_counts, zipf
from sim.experiments import Job
from sim.kept import load, path_of, save
from sim.oracle import area, exact, groups, run_case, theory
from sim.page import filled
from sim.parameters import PARAMETERS, RECIPIENTS, Values
from sim.policy.settings import DEFAULT, LADDER
from sim.sessions import Session
from sim.simulation import Plan, simulate
from sim.svg import Bar, bars
from sim.world import SIZES, World

from gatepost.traps.message_ids import recognise

FOLDER = Path(__file__).parents[2] / "sim"


def test_a_poisson_process_has_its_rate():
    times = list(arrivals(Random(1), 100, 50))
    assert times == sorted(times)
    assert 4700 < len(times) < 5300
    assert times[-1] < 50 * DAY
    assert list(arrivals(Random(1), 0, 50)) == []


def test_zipf_prefers_the_first():
    chance = Random(1)
    drawn = [zipf(chance, range(100)) for _ in range(2000)]
    assert drawn.count(0) > 5 * drawn.count(20)
    assert max(drawn) < 100


def test_the_table_of_recipients_is_that_of_the_log():
    assert sum(RECIPIENTS.values()) == 7387
    assert 1 - RECIPIENTS[1] / 7387 == pytest.approx(0.0636, abs=0.001)
    assert from_counts(Random(1), {3: 1}) == 3


def test_a_parameter_can_be_scaled():
    values = Values().scaled("typo", 2)
    assert values["typo"] == 2 * PARAMETERS["typo"].value
    assert values["leavers"] == PARAMETERS["leavers"].value


def test_an_unknown_parameter_is_an_error():
    with pytest.raises(KeyError, match="no such parameter: tau"):
        Values({"tau": 1.0})


def test_every_parameter_has_a_source():
    assert all(one.source and one.meaning for one in PARAMETERS.values())


def test_every_parameter_is_used():
    source = "".join(path.read_text() for path in FOLDER.rglob("*.py"))
    assert [name for name in PARAMETERS if source.count(f'"{name}"') < 2] == []


@pytest.mark.parametrize("size", SIZES)
def test_no_address_is_a_user_and_a_trap(size):
    world = World(SIZES[size], 1)
    assert len(world.users) == world.size.users
    assert not world.user_set & set(world.traps)


def test_the_message_identifiers_of_a_world_are_recognised():
    world = World(SIZES["small"], 1)
    assert all(recognise(one.partition("@")[0]) for one in world.message_ids)


def test_a_spam_list_has_the_share_of_users_that_is_asked_for():
    world = World(SIZES["company"], 1)
    entries = world.spam_list(Random(1))
    live = sum(one in world.user_set for one in entries) / len(entries)
    traps = sum(one in world.traps for one in entries) / len(entries)
    assert live == pytest.approx(0.3, abs=0.02)
    assert traps == pytest.approx(0.05, abs=0.02)


def test_networks_are_never_given_twice():
    world = World(SIZES["small"], 1)
    assert len({world.network() for _ in range(1000)}) == 1000


def test_merged_runs_get_their_own_outcomes():
    seen = []

    def run(name, times):
        for time in times:
            outcome = yield Session(time, name, name, ())
            seen.append((name, outcome))

    merged = merge([run("a", [1, 4]), run("b", [2, 3])])
    session, order = next(merged), []
    while session is not None:
        order.append(session.client)
        try:
            session = merged.send(session.client)
        except StopIteration:
            session = None
    assert order == ["a", "b", "b", "a"]
    assert all(name == outcome for name, outcome in seen)


def test_one_query_unmasks_a_trap_if_the_refusal_is_at_data():
    row = run_case("data", 0.0, 0.0, 1)
    assert (row.queries, row.errors, row.auc) == (1, 0, 1)


def test_a_refusal_at_the_end_takes_the_queries_of_the_theory():
    row = run_case("end", 0.2, 0.0, 1)
    assert row.queries == 3
    assert row.is_as_expected


@pytest.mark.parametrize(
    ("rho", "held", "queries"), [(0.0, 0.0, 1), (0.05, 0.0, 2), (0.2, 0.0, 3), (0.5, 0.0, 7)]
)
def test_the_theory_of_the_oracle(rho, held, queries):
    assert round(theory(rho, held)) == queries
    assert round(exact(rho, held)) == queries


def test_a_test_of_whole_queries_needs_more_than_the_formula():
    assert theory(0.05, 0.75) == pytest.approx(15.5, abs=0.1)
    assert 15.5 < exact(0.05, 0.75) < 24


@pytest.mark.parametrize(("networks", "traps", "share"), [(1, 1, 0.5), (1, 9, 0.9), (10**6, 9, 0)])
def test_the_theory_of_the_control(networks, traps, share):
    assert expected(networks, traps) == pytest.approx(share, abs=0.001)


def test_a_finished_run_is_kept_and_not_played_again(tmp_path):
    plan = Plan((Robots,), "small", Extent(days=1.0))
    path = path_of(tmp_path, Job("control", "a row", plan, LADDER[DEFAULT], 1))
    assert load(path) is None
    save(path, simulate(plan, LADDER[DEFAULT], 1))
    assert load(path).sessions > 0


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"settings": LADDER["lists"]},
        {"plan": Plan((Robots,), "small", Extent(days=2.0))},
        {"plan": Plan((Robots,), "small", Extent(1.0), Values({"typo": 1.0}))},
    ],
)
def test_another_run_has_another_file(tmp_path, other):
    job = Job("t", "r", Plan((Robots,), "small", Extent(days=1.0)), LADDER[DEFAULT], 1)
    assert path_of(tmp_path, job) != path_of(tmp_path, job._replace(**other))


def test_halving_finds_a_trap_in_the_logarithm_of_the_set():
    (row,) = groups(1, [50])
    assert 5 <= row.queries <= 6


def test_the_area_of_equal_scores_is_one_half():
    assert area([1.0], [1.0]) == 0.5
    assert area([2.0, 3.0], [1.0]) == 1.0


def test_a_chart_is_well_formed_and_escapes_its_text():
    chart = bars("a < b", [Bar("x & y", ((0.0, 0.5), (0.5, 0.7)), "70 %")], 0.0, 1.0)
    root = ET.fromstring(chart)
    assert root[0].text == "a < b"
    assert len(root.findall("{*}rect")) == 2


def test_a_page_gets_the_tables_it_has_places_for():
    page = (
        "a\n<!-- simulation: x -->\nold\n<!-- end -->\n<!-- simulation: y -->\nkeep\n<!-- end -->\n"
    )
    assert filled(page, {"x": "new"}) == page.replace("old", "new")


def test_the_command_line_reports_an_unknown_table(capsys):
    assert main(["--only", "nonsense"]) == 2
    assert "no such table: nonsense" in capsys.readouterr().err


def test_both_sizes_are_the_default():
    assert choice_of(parser().parse_args([])).sizes == ("small", "company")


def test_a_quick_run_updates_a_page(tmp_path, capsys):
    (tmp_path / "simulation.md").write_text("<!-- simulation: control -->\n<!-- end -->\n")
    assert main(["--quick", "--only", "control", "--jobs", "1", "--out", str(tmp_path)]) == 0
    assert "theory" in capsys.readouterr().out
    assert "| 1 | 9 |" in (tmp_path / "simulation.md").read_text()
