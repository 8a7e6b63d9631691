"""The harness detects mail that a power cut has lost; a few cuts lose nothing."""

import pytest
from endurance.crash import Kills
from endurance.outcome import Outcome
from endurance.power import MODES, Outage, Power, parser, power
from tools import disk

CUT = Outage(9.9, 10.0, 11.0)

# Reports success for syncs that do nothing.
NO_SYNC = """\
import os, sqlite3

os.fsync = os.fdatasync = lambda descriptor: None


class Connection(sqlite3.Connection):
    def execute(self, sql, *values):
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *values)


connect = sqlite3.connect
sqlite3.connect = lambda *where, **how: connect(*where, factory=Connection, **how)
"""


@pytest.fixture
def folder(tmp_path):
    if reason := disk.why_not(tmp_path):
        pytest.skip(reason)
    return tmp_path


def result(outcome, *arrivals, at=CUT.started):
    found = {outcome.token: list(arrivals)} if arrivals else {}
    return Power([outcome], Kills(times=[at]), [CUT], 0, found)


def answered(answer, started, at):
    code = {"accepted": 250, "refused": 451, "unanswered": 0}[answer]
    return Outcome("a", answer, code, at - started, at)


@pytest.mark.parametrize("arrivals", [(), (9.0,)])
@pytest.mark.parametrize("answer", ["accepted", "refused"])
def test_a_reply_during_a_cut_proves_nothing(answer, arrivals):
    assert result(answered(answer, 9.5, 10.5), *arrivals).problems == []


@pytest.mark.parametrize(("started", "at"), [(9.0, 9.5), (10.1, 10.2), (12.0, 12.5)])
def test_a_message_refused_at_another_time_must_not_arrive(started, at):
    found = result(answered("refused", started, at), 9.2).problems
    assert found == ["1 refused but present: a"]


def test_a_message_accepted_before_a_cut_must_arrive():
    assert result(answered("accepted", 9.0, 9.5)).problems == ["1 accepted with 250 and lost: a"]
    assert result(answered("accepted", 9.0, 9.5), 9.2).problems == []


def test_a_message_accepted_without_a_disk_is_an_error_even_if_it_arrives():
    found = result(answered("accepted", 10.2, 10.4), 10.5)
    assert found.problems == ["1 accepted without a disk: a"]


@pytest.mark.parametrize("mode", MODES)
def test_a_few_cuts_lose_nothing(folder, mode):
    chosen = parser().parse_args(["--rounds", "2", "--senders", "3", "--every", "0.5"])
    found = power(folder, mode, chosen)
    assert found.problems == []
    assert len(found.cuts) == 2
    assert any(one.answer == "accepted" for one in found.outcomes)


@pytest.mark.parametrize("mode", ["queue", "maildir"])
def test_missing_syncs_are_detected(folder, mode):
    (folder / "sitecustomize.py").write_text(NO_SYNC)
    chosen = parser().parse_args(["--rounds", "2", "--senders", "3", "--every", "0.5"])
    found = power(folder, mode, chosen, {"PYTHONPATH": str(folder)})
    assert any("accepted with 250 and lost" in problem for problem in found.problems)
