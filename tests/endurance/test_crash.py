"""The harness explains duplicates by kills; a short run loses nothing."""

import pytest
from endurance.crash import Crash, Kills, crash, parser, wait_for_accepted
from endurance.outcome import Outcome

TAKEN = [Outcome("a", "accepted", 250, 0.1)]


def result(*arrivals, kills=(), left=0):
    return Crash(TAKEN, Kills(times=list(kills)), left, {"a": list(arrivals)})


def test_one_copy_is_no_error():
    assert result(1.0, kills=[2.0]).problems == []


def test_a_kill_between_two_copies_explains_the_second():
    twice = result(1.0, 3.0, kills=[2.0])
    assert (twice.explained, twice.problems) == (["a"], [])


def test_a_copy_sent_before_the_kill_may_arrive_after_it():
    assert result(3.0, 9.0, kills=[2.0]).problems == []


@pytest.mark.parametrize("arrivals", [(1.0, 1.5), (1.0, 5.0, 9.0)])
def test_a_duplicate_without_a_kill_is_an_error(arrivals):
    found = result(*arrivals, kills=[2.0])
    assert (found.explained, found.problems) == ([], ["1 present more than once: a"])


REFUSED = Outcome("a", "refused", 451, 1.0, at=10.0, status="4.4.2")


def refused(outcome, *arrivals, cuts=(), kills=()):
    found = {"a": list(arrivals)} if arrivals else {}
    return Crash([outcome], Kills(times=[*cuts, *kills], cuts=list(cuts)), 0, found)


@pytest.mark.parametrize("arrivals", [(), (9.4,)])
@pytest.mark.parametrize("cut", [9.0, 9.5, 10.0])
def test_a_message_cut_by_a_killed_downstream_may_be_present(arrivals, cut):
    found = refused(REFUSED, *arrivals, cuts=[cut])
    assert (found.problems, found.hidden) == ([], [REFUSED])


@pytest.mark.parametrize(
    ("outcome", "kills"),
    [
        (REFUSED, {}),
        (REFUSED, {"kills": [9.5]}),
        (REFUSED, {"cuts": [8.0]}),
        (REFUSED, {"cuts": [11.0]}),
        (REFUSED._replace(status="4.4.1"), {"cuts": [9.5]}),
        (REFUSED._replace(code=554, status="5.7.1"), {"cuts": [9.5]}),
    ],
)
def test_any_other_refused_message_must_not_be_present(outcome, kills):
    found = refused(outcome, 9.4, **kills)
    assert (found.problems, found.hidden) == (["1 refused but present: a"], [])


def test_a_message_cut_by_a_killed_downstream_is_present_once_only():
    found = refused(REFUSED, 9.3, 9.4, cuts=[9.5])
    assert found.problems == ["1 present more than once: a"]


def test_a_message_left_in_the_queue_is_an_error():
    assert result(1.0, left=2).problems == ["2 messages still in the queue after 120 s"]


def test_the_harness_waits_for_messages_in_no_list():
    looks = iter([{}, {"a": [1.0]}])
    assert wait_for_accepted(TAKEN, lambda: next(looks)) == {"a": [1.0]}


def test_a_few_kills_lose_nothing(tmp_path):
    chosen = parser().parse_args(["--rounds", "4", "--senders", "3"])
    found = crash(tmp_path, "queue", chosen)
    assert found.problems == []
    assert found.kills.times
    assert any(one.answer == "accepted" for one in found.outcomes)
