"""The metrics on hand-made sessions."""

import pytest
from sim.metrics import Count, Metrics, Series, is_refused
from sim.sessions import Answer, Envelope, Facts, Intent, Kind, Recipient, Session

USERS = {"a@site1.example", "b@site1.example"}
ACCEPTED = Answer((250,), 354, 250)
MARKED = Answer((250,), 354, 250, marked=True)
AT_DATA = Answer((250,), 554)
AT_END = Answer((250,), 354, 554)
UNKNOWN = Answer((550,), 554)
CUT_OFF = Answer((0,))


def message(kind, address="a@site1.example", intent=Intent.LIST, **more):
    return Envelope("x@example.org", (Recipient(address, intent),), kind, **more)


def measured(*pairs):
    metrics = Metrics()
    for time, (one, answer) in enumerate(pairs):
        session = Session(float(time), "10.0.0.1", "x", (one,), "S3")
        metrics.take(session, (answer,), USERS)
    return metrics


@pytest.mark.parametrize(
    ("answer", "refused"),
    [(ACCEPTED, False), (AT_DATA, True), (AT_END, True), (UNKNOWN, False), (CUT_OFF, False)],
)
def test_a_refusal_because_of_traps_comes_after_an_accepted_recipient(answer, refused):
    assert is_refused(answer) is refused


def test_coverage_counts_spam_to_users_only():
    spam = message(Kind.SPAM)
    to_trap = message(Kind.SPAM, "trap@site1.example")
    count = measured(
        (spam, ACCEPTED), (spam, AT_DATA), (spam, MARKED), (to_trap, AT_DATA)
    ).all_spam()
    assert (count.messages, count.refused, count.marked) == (3, 1, 1)
    assert count.coverage == pytest.approx(1 / 3)
    assert count.touched == pytest.approx(2 / 3)


def test_marginal_coverage_leaves_out_what_the_baseline_finds():
    plain = message(Kind.SPAM)
    listed = message(Kind.SPAM, listed=True)
    bad = message(Kind.SPAM, facts=Facts(looks_bad=True))
    count = measured((plain, AT_END), (plain, ACCEPTED), (listed, AT_END), (bad, AT_END)).all_spam()
    assert (count.messages, count.refused) == (4, 3)
    assert (count.passed, count.marginal) == (2, 0.5)


def test_a_legitimate_message_counts_only_if_it_is_meant_for_a_user():
    meant = message(Kind.LEGITIMATE, intent=Intent.MEANT)
    stale = message(Kind.LEGITIMATE, "left@site1.example", Intent.STALE)
    count = measured((meant, AT_DATA), (meant, ACCEPTED), (stale, UNKNOWN)).all_legitimate()
    assert (count.messages, count.refused) == (2, 1)


def test_a_message_is_cut_off_if_the_session_ends_or_no_recipient_is_left():
    meant = message(Kind.LEGITIMATE, intent=Intent.MEANT)
    count = measured((meant, CUT_OFF), (meant, UNKNOWN), (meant, AT_DATA)).all_legitimate()
    assert (count.refused, count.cut) == (1, 2)


def test_spam_that_is_not_delivered_is_refused_or_cut_off():
    spam = message(Kind.SPAM)
    count = measured((spam, CUT_OFF), (spam, AT_END), (spam, MARKED), (spam, ACCEPTED)).all_spam()
    assert (count.coverage, count.undelivered, count.stopped) == (0.25, 0.5, 0.75)


def test_the_formula_counts_the_traps_that_a_campaign_named():
    bait = {"trap@site1.example", "other@site1.example"}
    metrics = Metrics()
    for at in range(6):
        address = sorted(bait)[at % 2] if at < 4 else "a@site1.example"
        one = message(Kind.SPAM, address, campaign="S4/0")
        metrics.take(Session(float(at), "10.0.0.1", "x", (one,), "S4"), (ACCEPTED,), USERS, bait)
    assert metrics.expected("S4") == pytest.approx(2 / 3)
    assert metrics.expected("S3") == 0


def test_a_series_has_the_share_of_each_seed_that_has_messages():
    spam = message(Kind.SPAM)
    runs = [measured((spam, AT_END)), measured((spam, AT_END), (spam, ACCEPTED)), measured()]
    series = Series(runs)
    assert series.shares("S3", "", lambda one: one.coverage) == [0.5, 1.0]
    assert series.pooled.all_spam().messages == 3


def test_recipients_are_counted_one_by_one():
    both = Envelope(
        "x@example.org",
        tuple(Recipient(one, Intent.MEANT) for one in sorted(USERS)),
        Kind.LEGITIMATE,
    )
    recipients = measured((both, Answer((250, 550), 354, 250))).recipients
    assert (recipients.messages, recipients.refused) == (2, 1)


def test_an_attempt_is_counted_apart_from_mail():
    metrics = measured((message(Kind.LEGITIMATE, intent=Intent.MEANT, label="test"), AT_END))
    assert metrics.all_legitimate().messages == 0
    assert metrics.tests["S3", "test"].refused == 1


def test_the_time_to_detect_starts_at_the_first_message_of_a_campaign():
    spam = message(Kind.SPAM, campaign="S3/0")
    metrics = measured((spam, ACCEPTED), (spam, ACCEPTED), (spam, MARKED), (spam, ACCEPTED))
    found = metrics.detection("S3")
    assert (found.campaigns, found.detected, found.before, found.seconds) == (1, 1, 2, 2.0)


def test_runs_add_up():
    one, two = (measured((message(Kind.SPAM, campaign="S3/0"), AT_DATA)) for _ in range(2))
    one.add(two)
    assert one.all_spam().refused == 2
    assert one.detection("S3").campaigns == 2


def test_the_interval_of_no_refusals_is_that_of_garwood():
    low, high = Count(messages=369_000).per_100_000()
    assert low == 0
    assert high == pytest.approx(1.0, abs=0.001)
