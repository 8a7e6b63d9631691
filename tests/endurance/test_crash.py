"""The harness knows a duplicate that a kill explains; and a short run loses nothing."""

import pytest
from endurance.crash import Crash, Kills, crash, in_time, parser
from endurance.outcome import Outcome

TAKEN = [Outcome("a", "accepted", 250, 0.1)]


def came(*arrivals, kills=(), left=0):
    return Crash(TAKEN, Kills(times=list(kills)), left, {"a": list(arrivals)})


def test_one_copy_is_as_it_should_be():
    assert came(1.0, kills=[2.0]).problems == []


def test_a_kill_between_two_copies_explains_the_second():
    twice = came(1.0, 3.0, kills=[2.0])
    assert (twice.explained, twice.problems) == (["a"], [])


def test_what_was_sent_before_the_kill_may_arrive_after_it():
    assert came(3.0, 9.0, kills=[2.0]).problems == []


@pytest.mark.parametrize("arrivals", [(1.0, 1.5), (1.0, 5.0, 9.0)])
def test_any_other_is_a_failure(arrivals):
    found = came(*arrivals, kills=[2.0])
    assert (found.explained, found.problems) == ([], ["1 there more than once: a"])


def test_what_is_still_in_the_queue_is_said():
    assert came(1.0, left=2).problems == ["2 messages still in the queue after 120 s"]


def test_what_is_in_no_list_may_still_come():
    looks = iter([{}, {"a": [1.0]}])
    assert in_time(TAKEN, lambda: next(looks)) == {"a": [1.0]}


def test_a_few_kills(tmp_path):
    chosen = parser().parse_args(["--rounds", "4", "--senders", "3"])
    found = crash(tmp_path, "queue", chosen)
    assert found.problems == []
    assert found.kills.times
    assert any(one.answer == "accepted" for one in found.outcomes)
