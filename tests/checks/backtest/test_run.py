"""Findings: totals, evidence in both directions, intervals, the period, and bounds."""

import pytest
from tests.checks.backtest.made import START, attack, mail, sent, spam
from tests.importers.read import sample

from gatepost.checks.backtest.bounded import Bounded, Tally
from gatepost.checks.backtest.listing import report
from gatepost.checks.backtest.recipients import Directory
from gatepost.checks.backtest.rules import Rule
from gatepost.checks.backtest.run import BackTest, network_of, run
from gatepost.importers.reading import LogReader
from gatepost.importers.transaction import Ending, Verdict
from gatepost.ledger.words.sections import as_text
from gatepost.lists.addresses import AddressList
from gatepost.traps.memory import DAY


def find(*transactions, traps=(), since=0.0):
    test = BackTest(Directory([AddressList.from_lines(traps, "traps")]))
    for one in transactions:
        test.add(one, since)
    return test.findings(LogReader([]))


def test_the_totals_are_those_of_the_log():
    found = find(
        mail(), attack(), spam(1, verdict=Verdict.SPAM, ending=Ending.REFUSED), sent(2), mail(3)
    )
    totals = found.totals
    assert (totals.transactions, totals.own, totals.accepted) == (4, 1, 2)
    assert (totals.refused_by_content, totals.without_accepted) == (1, 1)
    assert (totals.recipients, totals.unknown) == (13, 10)
    assert (found.since, found.until) == (START, START + 3 * DAY)


def test_only_accepted_messages_count_as_refused_or_marked():
    rules = find(attack(), spam(0.5), spam(2)).rules
    many, marking, refusing = (
        rules[one.value] for one in (Rule.MANY_UNKNOWN, Rule.MARKING, Rule.REFUSING)
    )
    assert (many.hits, many.recipients, many.touched) == (1, 10, 0)
    assert (marking.hits, marking.marked, marking.refused) == (2, 2, 0)
    assert (refusing.hits, refusing.refused) == (1, 1)


def test_a_trusted_sender_loses_the_trap_alone():
    found = find(sent(), mail(1, accepted=["trap@example.com"]), traps=["trap@example.com"])
    rule = found.rules[Rule.LISTED.value]
    assert (rule.refused, rule.recipient_only) == (0, 1)


def evidence(found):
    return found.rules[Rule.MARKING.value].wrong


def test_the_content_filter_is_weak_evidence():
    found = find(attack(), spam(0.5))
    assert evidence(found) == {"passed by the content filter": 1}
    assert found.rules[Rule.MARKING.value].strong == 0
    assert found.examples == []


def test_later_mail_of_the_domain_is_strong_evidence():
    later = mail(3, "198.51.100.1", "other@mail.spam.example")
    found = find(attack(), spam(0.5), later)
    assert evidence(found)["mail of the domain accepted a day later"] == 1
    assert found.rules[Rule.MARKING.value].strong == 1
    [example] = found.examples
    assert (example.sender, example.rules[0]) == ("y@spam.example", Rule.MARKING.value)


@pytest.mark.parametrize(
    "later",
    [
        mail(1.2, "198.51.100.1", "y@spam.example"),
        mail(3, "198.51.100.1", "y@spam.example", verdict=Verdict.SPAM),
        mail(3, "198.51.100.1", "y@spam.example", accepted=()),
        mail(3, "203.0.113.3", "y@spam.example"),
        mail(3, "198.51.100.1", "y@other.example"),
    ],
    ids=["the same day", "spam", "refused", "a hit itself", "another domain"],
)
def test_other_later_mail_is_no_evidence(later):
    found = find(attack(), spam(0.5), later)
    assert "mail of the domain accepted a day later" not in evidence(found)


@pytest.mark.parametrize("at", [0, 5], ids=["before", "after"])
def test_a_message_that_our_users_wrote_is_strong_evidence(at):
    mails = sorted(
        [attack(0.1), mail(0.5, "203.0.113.9", "y@spam.example"), sent(at, "y@spam.example")],
        key=lambda one: one.time,
    )
    found = find(*mails)
    if at:
        assert evidence(found) == {"our users wrote to the sender": 1}
        assert found.rules[Rule.MARKING.value].strong == 1
    else:
        assert found.rules[Rule.MARKING.value].hits == 0  # trusted already


def test_only_the_period_is_reported_and_the_time_before_it_teaches():
    found = find(attack(), spam(0.5), spam(3), since=START + 2 * DAY)
    assert found.totals.transactions == 1
    assert found.rules[Rule.MARKING.value].marked == 1
    assert found.rules[Rule.MANY_UNKNOWN.value].hits == 0


def test_networks_senders_and_replies_are_counted():
    found = find(attack(), attack(0.1), spam(0.2))
    assert found.networks == [("203.0.113.0/24", 3)]
    assert found.senders == [("x@spam.example", 2), ("y@spam.example", 1)]
    assert found.replies == [("550 5.1.1 User unknown", 2), ("accepted", 1)]


def test_addresses_in_replies_are_left_out():
    reply = "550 5.1.1 <name0@example.com>: rejected [192.0.2.1]"
    one = attack()
    for recipient in one.recipients.values():
        recipient.reply = reply
    assert find(one).replies == [("550 5.1.1 <>: rejected <>", 1)]


def test_shares_have_exact_intervals():
    found = find(attack(), *(mail(1) for _ in range(99)), spam(2))
    low, high = found.share(1)
    assert (low, high) == pytest.approx((0.000253, 0.054459), abs=1e-5)
    assert found.share(0).low == 0


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("", "unknown"),
        ("x" * 99, "x" * 60),
    ],
)
def test_the_network_of_a_client(client, network):
    assert network_of(client) == network


def test_a_report_fits_into_80_columns():
    found = find(
        attack(client="2001:db8:1111:2222::1"),
        spam(0.5, client="2001:db8:1111:2222::2", sender=f"{'y' * 90}@spam.example"),
        mail(4, sender="z@spam.example"),
        mail(5, accepted=["trap@example.com"]),
        traps=["trap@example.com"],
    )
    lines = ["".join(part.text for part in line) for line in as_text(report(found))]
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for title in ("Rules", "Possible mistakes", "Shares", "Probably wrong", "Networks of the hits"):
        assert title in text


def test_an_empty_log_has_a_report(tmp_path):
    path = tmp_path / "log"
    path.write_text("")
    found = run([path], Directory(), name="exim", days=None, top=3, progress=lambda _: None)
    assert found.totals.transactions == 0
    assert [one.name for one in report(found).sections] == ["log", "rules"]


def test_days_count_from_the_end_of_the_log(tmp_path):
    path = tmp_path / "log"
    old = sample("exim-accepted").replace("2020-02-22", "2020-02-19")
    path.write_text(old + sample("exim-accepted").replace("1j5PqR", "1j5PqZ"))
    for days, accepted in ((None, 2), (2, 1), (9, 2)):
        found = run([path], Directory(), name=None, days=days, top=3, progress=lambda _: None)
        assert found.totals.accepted == accepted


def test_a_bounded_table_drops_what_was_not_set_for_the_longest():
    table = Bounded(2)
    for key in "abac":
        table.set(key, key)
    assert ("a" in table, "b" in table, len(table), table.dropped) == (True, False, 2, 1)


def test_a_tally_counts_further_names_together():
    tally = Tally(2)
    for name in "abbcd":
        tally.add(name)
    assert tally.top(9) == [("b", 2), ("a", 1)]
    assert tally.others == 2
