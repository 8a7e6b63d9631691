"""Two trials of one message, compared."""

from gatepost.checks.trial.differences import FINDING, RESULT, Difference, compare
from gatepost.checks.trial.result import Trial, TrialStep

CONNECT = TrialStep("connect", "192.0.2.1", "", "", "220 mx.example.com ESMTP")
BOB = "bob@example.com"


def rcpt(reply="250 2.1.5 Recipient ok", by="", answer="", to=BOB):
    return TrialStep("rcpt", to, by, answer, reply)


def trial(*steps, recipients=(), ref="a1-1", **fields):
    return Trial([CONNECT, *steps], [], [], fields.pop("traps", []), fields.pop("delay", 0.0),
                 bool(recipients), list(recipients), ref=ref, **fields)  # fmt: skip


def differing(here, there, count=1):
    return [one for one in compare(here, there, count) if not one.is_same]


def test_the_same_trials_have_the_same_lines():
    found = compare(trial(rcpt(), recipients=[BOB]), trial(rcpt(), recipients=[BOB]), 1)
    assert [(one.hook, one.about) for one in found] == [
        (RESULT, ""), ("connect", "192.0.2.1"), ("rcpt", BOB),
    ]  # fmt: skip
    assert all(one.is_same for one in found)


def test_references_of_replies_do_not_differ():
    here = trial(rcpt("550 5.7.1 No [a1-1.1]", "mine", "deny"), ref="a1-1")
    there = trial(rcpt("550 5.7.1 No [b2-7.1]", "mine", "deny"), ref="b2-7")
    assert differing(here, there) == []


def test_another_plugin_that_decides_is_a_difference():
    here = trial(rcpt("550 5.7.1 No [a1-1.1]", "mine", "deny (why)"))
    there = trial(rcpt(), recipients=[BOB])
    assert differing(here, there) == [
        Difference(RESULT, "", "refused", "accepted"),
        Difference("rcpt", BOB, "mine: deny (why); 550 5.7.1 No [REF.1]", "250 2.1.5 Recipient ok"),
    ]


def test_a_step_that_only_one_has_stands_in_its_place():
    data = TrialStep("data", "", "", "", "354 Go on")
    lookup = TrialStep("lookup", BOB, "mine", "local", "")
    found = compare(trial(rcpt(), data), trial(lookup, rcpt()), 1)
    steps = [(one.hook, one.here, one.there) for one in found[1:]]
    assert steps == [
        ("connect", CONNECT.reply, CONNECT.reply),
        ("lookup", "", "mine: local"),
        ("rcpt", "250 2.1.5 Recipient ok", "250 2.1.5 Recipient ok"),
        ("data", "354 Go on", ""),
    ]


def test_a_recipient_that_is_named_twice_is_compared_twice():
    here = trial(rcpt(), rcpt("452 4.5.3 Too many"))
    there = trial(rcpt(), rcpt())
    assert [one.here for one in differing(here, there)[1:]] == ["452 4.5.3 Too many"]


def test_findings_are_compared_as_lines_and_counted():
    here = trial(rcpt(), traps=["a", "a"], delay=1.0)
    there = trial(rcpt(), traps=["a", "b"])
    assert [one[1:] for one in findings(here, there)] == [
        ("trap: a", "trap: a"), ("trap: a", ""),
        ("delay: 1 s before the reply", ""), ("", "trap: b"),
    ]  # fmt: skip


def findings(here, there):
    found = compare(here, there, 1)
    return [(one.hook, one.here, one.there) for one in found if one.hook == FINDING]
