"""The harness finds what a power cut has lost; and a few cuts lose nothing."""

import pytest
from endurance.crash import Kills
from endurance.outcome import Outcome
from endurance.power import MODES, Dark, Power, parser, power
from tools import disk

CUT = Dark(9.9, 10.0, 11.0)

# A machine that says it has synced what it has not.
LIAR = """\
import os, sqlite3

os.fsync = os.fdatasync = lambda descriptor: None


class Connection(sqlite3.Connection):
    def execute(self, sql, *values):
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *values)


honest = sqlite3.connect
sqlite3.connect = lambda *where, **how: honest(*where, factory=Connection, **how)
"""


@pytest.fixture
def folder(tmp_path):
    if why := disk.why_not(tmp_path):
        pytest.skip(why)
    return tmp_path


def came(outcome, *arrivals, at=CUT.begun):
    found = {outcome.token: list(arrivals)} if arrivals else {}
    return Power([outcome], Kills(times=[at]), [CUT], 0, found)


def answered(answer, begun, at):
    code = {"accepted": 250, "refused": 451, "unanswered": 0}[answer]
    return Outcome("a", answer, code, at - begun, at)


@pytest.mark.parametrize("arrivals", [(), (9.0,)])
@pytest.mark.parametrize("answer", ["accepted", "refused"])
def test_an_answer_during_a_cut_says_nothing(answer, arrivals):
    assert came(answered(answer, 9.5, 10.5), *arrivals).problems == []


@pytest.mark.parametrize(("begun", "at"), [(9.0, 9.5), (10.1, 10.2), (12.0, 12.5)])
def test_any_other_refusal_holds(begun, at):
    found = came(answered("refused", begun, at), 9.2).problems
    assert found == ["1 refused and there all the same: a"]


def test_what_was_answered_before_a_cut_is_there():
    assert came(answered("accepted", 9.0, 9.5)).problems == ["1 answered 250 and lost: a"]
    assert came(answered("accepted", 9.0, 9.5), 9.2).problems == []


def test_nothing_is_taken_without_a_disk_even_if_it_comes_to_the_next_hop():
    found = came(answered("accepted", 10.2, 10.4), 10.5)
    assert found.problems == ["1 answered 250 without a disk: a"]


@pytest.mark.parametrize("mode", MODES)
def test_a_few_cuts(folder, mode):
    chosen = parser().parse_args(["--rounds", "2", "--senders", "3", "--every", "0.5"])
    found = power(folder, mode, chosen)
    assert found.problems == []
    assert len(found.cuts) == 2
    assert any(one.answer == "accepted" for one in found.outcomes)


@pytest.mark.parametrize("mode", ["queue", "maildir"])
def test_a_disk_that_lies_is_found_out(folder, mode):
    (folder / "sitecustomize.py").write_text(LIAR)
    chosen = parser().parse_args(["--rounds", "2", "--senders", "3", "--every", "0.5"])
    found = power(folder, mode, chosen, {"PYTHONPATH": str(folder)})
    assert any("answered 250 and lost" in problem for problem in found.problems)
