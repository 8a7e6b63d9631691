"""The tables of made-up results."""

import pytest
from sim.control import Control
from sim.experiments import Results
from sim.metrics import Metrics, Series
from sim.oracle import Row
from sim.policy.settings import DEFAULT, LISTS, REFUSES
from sim.sessions import Answer, Envelope, Intent, Kind, Recipient, Session
from sim.tables.all_tables import tables

USER = "a@site1.example"
ACCEPTED, MARKED = Answer((250,), 354, 250), Answer((250,), 354, 250, marked=True)
REFUSED, CUT_OFF = Answer((250,), 554), Answer((0,))


def run(actor, kind, *answers, label="", standing=""):
    """Return the metrics of a message for each answer."""
    metrics, intent = Metrics(), Intent.LIST if kind is Kind.SPAM else Intent.MEANT
    for at, answer in enumerate(answers):
        named = (Recipient(USER, intent),)
        one = Envelope("x@a.example", named, kind, label=label, standing=standing)
        session = Session(float(at), "10.0.0.1", "x", (one,), actor)
        metrics.take(session, (answer,), {USER})
    return metrics


def ladder(**rows):
    names = {"lists": LISTS, "default": DEFAULT, "refuses": REFUSES}
    return Results({"ladder, small": {names[row]: Series(runs) for row, runs in rows.items()}})


def lines(results, key):
    """Return the rows of a table that begin with a name, by that name."""
    return {row[0]: row for row in tables(results)[key].rows if row[0]}


def targets(results):
    """Return the found text and the verdict of each target."""
    return {row[0].partition(":")[0]: row[2:] for row in tables(results)["summary"].rows if row[0]}


def test_without_results_there_are_only_the_parameters():
    assert set(tables(Results())) == {"parameters"}


def test_coverage_has_the_median_and_the_worst_seed():
    seeds = [
        run("S3 snowshoe", Kind.SPAM, REFUSED, CUT_OFF, MARKED, ACCEPTED),
        run("S3 snowshoe", Kind.SPAM, REFUSED, REFUSED, REFUSED, ACCEPTED),
        run("S3 snowshoe", Kind.SPAM, REFUSED, ACCEPTED, ACCEPTED, ACCEPTED),
    ]
    row = lines(ladder(lists=seeds[:1], default=seeds, refuses=seeds), "coverage small")
    assert row["S3 snowshoe"][2:] == (
        *("12", "25.0 %", "41.7 %", "50.0 %", "75.0 %", "25.0 %", "50.0 %", "25.0 %"),
    )


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([CUT_OFF] * 99 + [REFUSED], "met"),
        ([MARKED] * 99 + [REFUSED], "met with marks"),
        ([ACCEPTED] * 2 + [REFUSED] * 98, "missed"),
    ],
)
def test_the_verdict_about_coverage(answers, verdict):
    found = targets(ladder(default=[run("S1 dictionary", Kind.SPAM, *answers)]))
    assert found["S1 dictionary"][1] == verdict


def test_a_cut_off_message_is_not_refused_because_of_traps():
    mail = run("office", Kind.LEGITIMATE, CUT_OFF, MARKED, *[ACCEPTED] * 98)
    row = tables(ladder(default=[mail]))["legitimate"].rows[0]
    assert row[3:] == ("100", "0", "0.00 (0.00 to 3688.88)", "0", "1", "1 (1.0 %)")
    (loss,) = tables(ladder(default=[mail]))["losses"].rows
    assert loss == ("office", "", "small site", "default", "100", "0", "1", "1")


@pytest.mark.parametrize(("refused", "verdict"), [(0, "met"), (1, "missed")])
def test_the_verdict_about_legitimate_mail_needs_369_000_messages(refused, verdict):
    mail = run("a", Kind.LEGITIMATE, *[REFUSED] * refused, ACCEPTED, standing="trusted")
    mail.legitimate["a", ""].messages = 369_000
    found = targets(ladder(default=[mail]))
    assert found["legitimate refused because of traps"][1] == verdict
    assert found["none of acquainted and trusted senders"][1] == verdict


def test_attacks_need_1000_attempts_without_a_success():
    won = run("A2 sign-up", Kind.LEGITIMATE, REFUSED, *[ACCEPTED] * 999, label="test")
    disarmed = run("A3 disarmer", Kind.ATTACK, *[REFUSED] * 1000, label="test")
    disarmed.add(won)
    found = targets(Results({"attacks": {DEFAULT: Series([disarmed])}}))
    assert found["framer"] == ("1 of 1,000, upper bound 0.6 %", "missed")
    assert found["disarmer"] == ("0 of 1,000, upper bound 0.4 %", "met")


def test_theory_is_compared():
    results = Results(
        oracle=[Row("data", 0, 0, 1, 0, 1, 1, 1), Row("end", 0.5, 0, 30, 0, 1, 6.6, 7)],
        controls=[Control(1, 1, 1000, 0.52, 0.5)],
    )
    found = targets(results)
    assert found["control"] == ("at most 2.0 points from the formula", "met")
    assert found["oracle"][1] == "missed"


def test_attempts_against_learned_traps_have_a_verdict_too():
    rows = {"registered traps": Series([run("A3 disarmer", Kind.ATTACK, REFUSED, label="test")])}
    found = targets(Results({"registered": rows}))
    assert found["disarmer of learned traps"] == ("0 of 1", "missed")
