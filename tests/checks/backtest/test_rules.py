"""The effect of each rule on a transaction and on the memory."""

import pytest
from tests.checks.backtest.made import attack, mail, sent, spam

from gatepost.checks.backtest.recipients import Directory
from gatepost.checks.backtest.rules import Rule, Rules
from gatepost.checks.backtest.standing import Correspondents, is_proven
from gatepost.importers.transaction import Verdict
from gatepost.lists.addresses import AddressList
from gatepost.lists.providers import load_providers
from gatepost.traps.organisations import organisational
from gatepost.traps.verdicts import Treatment

PROVIDERS = load_providers()
IDENTIFIER = "03f1.4dee1234@example.com"


class Judge:
    """Rules with their directory, as the run has them."""

    def __init__(self, traps=(), known=None):
        exists = AddressList.from_lines(known, "known") if known else None
        self.directory = Directory([AddressList.from_lines(traps, "traps")], exists)
        self.correspondents = Correspondents()
        self.rules = Rules(PROVIDERS, self.correspondents)

    def __call__(self, transaction):
        hits = self.rules.judge(transaction, self.directory.look_up(transaction))
        self.correspondents.see(transaction)
        return hits

    def found(self, transaction):
        return {hit.rule: hit.treatment for hit in self(transaction)}


def test_a_listed_trap_refuses_the_message():
    judge = Judge(["trap@example.com"])
    hits = judge(mail(accepted=["ann@example.com", "trap+x@example.com"]))
    assert hits == [(Rule.LISTED, Treatment.REFUSE_ALL, 1)]
    assert judge(mail(1)) != []


def test_many_unknown_recipients_are_a_hit():
    assert Judge()(attack(count=10)) == [(Rule.MANY_UNKNOWN, Treatment.REFUSE_ALL, 10)]
    assert Judge()(attack(count=9)) == []


def test_recipients_of_foreign_domains_do_not_count():
    foreign = [f"x{number}@example.net" for number in range(20)]
    few = [f"n{number}@example.com" for number in range(9)]
    assert Judge()(mail(accepted=(), unknown=few, relayed=foreign)) == []
    many = [*few, "n9@example.com"]
    assert [hit.rule for hit in Judge()(mail(accepted=(), unknown=many, relayed=foreign))] == [
        Rule.MANY_UNKNOWN
    ]


def test_an_unknown_recipient_like_a_message_identifier_is_a_hit():
    hits = Judge()(mail(unknown=[IDENTIFIER]))
    assert hits == [(Rule.MESSAGE_ID, Treatment.REFUSE_ALL, 1)]


def test_an_existing_address_like_a_message_identifier_is_none():
    assert Judge()(mail(accepted=[IDENTIFIER])) == []


def test_a_list_of_known_recipients_replaces_the_refusals_of_the_log():
    judge = Judge(known=["ann@example.com", "@all.example.com"])
    assert judge(mail(accepted=[IDENTIFIER, "x@other.example"]))[0].rule is Rule.MESSAGE_ID
    assert Judge(known=[IDENTIFIER])(mail(unknown=[IDENTIFIER])) == []
    assert Judge(known=["@example.com"])(attack()) == []


def test_a_known_recipient_in_a_trap_list_is_no_trap():
    judge = Judge(["ann@example.com"], known=["ann@example.com"])
    assert judge(mail()) == []


@pytest.mark.parametrize("teacher", [attack(), mail(0, "203.0.113.1", unknown=[IDENTIFIER])])
def test_the_network_of_a_hit_is_remembered(teacher):
    judge = Judge()
    judge(teacher)
    assert judge.found(spam(0.5)) == {
        Rule.MARKING: Treatment.MARKED_AFTER_CONTENT,
        Rule.REFUSING: Treatment.REFUSE_ALL_AFTER_CONTENT,
    }
    assert set(judge.found(spam(6))) == {Rule.MARKING}
    assert judge(spam(8)) == []
    assert judge(spam(0.5, client="203.0.114.9")) == []


def test_a_big_provider_is_not_remembered():
    judge = Judge()
    judge(attack(client="209.85.220.41"))
    assert judge(spam(0.1, client="209.85.220.42")) == []
    judge(attack(name="filter1.mailspamprotection.com"))
    assert judge(spam(0.1)) == []


def test_a_network_with_many_old_domains_is_not_remembered():
    judge = Judge()
    for number in range(5):
        for day in (0, 35):
            domain = f"d{number}.example"
            judge(mail(day, "203.0.113.7", f"a@{domain}", spf="pass"))
    judge(attack(36))
    assert judge(spam(36.1)) == []


def test_a_proven_domain_is_remembered_on_another_network():
    judge = Judge()
    facts = {"spf": "pass", "dkim": ["mail.spam.example"]}
    judge(attack(**facts))
    assert set(judge.found(spam(0.1, client="198.51.100.1", **facts))) == {
        Rule.MARKING,
        Rule.REFUSING,
    }
    assert judge(spam(0.2, client="198.51.100.1")) == []  # not proven this time
    assert judge(spam(0.2, client="198.51.100.1", dkim=["spam.example"])) == []


def test_our_own_users_are_exempt():
    assert Judge(["trap@example.com"])(mail(accepted=["trap@example.com"], user="ann")) == []


def test_a_null_sender_is_judged_by_many_unknown_recipients_alone():
    judge = Judge(["trap@example.com"])
    bounce = mail(0, "203.0.113.1", "", accepted=["trap@example.com"], unknown=[IDENTIFIER])
    assert judge(bounce) == []
    assert judge(spam(0.1)) == []
    names = [f"n{number}@example.com" for number in range(10)]
    hits = judge(mail(0, "203.0.113.1", "", accepted=(), unknown=names))
    assert [hit.rule for hit in hits] == [Rule.MANY_UNKNOWN]


def test_a_sender_our_users_wrote_to_is_trusted():
    judge = Judge(["trap@example.com"])
    judge(sent(0, "jo@example.org"))
    hit = mail(1, accepted=["trap@example.com"])
    assert judge.found(hit) == {Rule.LISTED: Treatment.RECIPIENT_ONLY_REST_MARKED}
    judge(attack(1))
    assert judge(mail(1.1, "203.0.113.9")) == []


def test_an_address_of_our_own_domain_is_no_correspondent():
    judge = Judge(["trap@example.com"])
    judge(mail())
    judge(sent(0.1, "bob@example.com"))
    forged = mail(1, sender="bob@example.com", accepted=["trap@example.com"])
    assert judge.found(forged) == {Rule.LISTED: Treatment.REFUSE_ALL}


@pytest.mark.parametrize(
    ("earlier", "treatment"),
    [
        (mail(0), Treatment.REFUSE_ALL_AFTER_CONTENT),
        (mail(2), Treatment.REFUSE_ALL),
        (mail(0, verdict=Verdict.SPAM), Treatment.REFUSE_ALL),
        (mail(0, "198.51.100.1"), Treatment.REFUSE_ALL),
    ],
    ids=["a week ago", "some days ago", "spam", "from another network"],
)
def test_good_mail_a_week_ago_makes_a_sender_acquainted(earlier, treatment):
    judge = Judge(["trap@example.com"])
    judge(earlier)
    assert judge.found(mail(8, accepted=["trap@example.com"])) == {Rule.LISTED: treatment}


def test_a_proven_domain_is_acquainted_on_every_network():
    judge = Judge(["trap@example.com"])
    judge(mail(0, "198.51.100.1", dmarc="pass"))
    hit = mail(8, accepted=["trap@example.com"], dmarc="pass")
    assert judge.found(hit) == {Rule.LISTED: Treatment.REFUSE_ALL_AFTER_CONTENT}


def test_a_client_without_an_address_is_judged_without_a_network():
    judge = Judge()
    assert len(judge(attack(client=""))) == 1
    assert judge(spam(client="")) == []
    assert len(judge(attack(client="IPv6:2001:db8::1"))) == 1
    assert len(judge(spam(client="2001:db8::2"))) == 2


def test_text_that_is_no_address_is_unknown_but_no_trap():
    judge = Judge(["trap@example.com"])
    assert judge(mail(accepted=["<<", "a b"], unknown=["@@"])) == []


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("example.org", "example.org"),
        ("a.b.example.org", "example.org"),
        ("mail.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("a.co", "a.co"),
        ("x.y.co", "y.co"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_the_organisational_domain_is_estimated(domain, organisation):
    assert organisational(domain) == organisation


@pytest.mark.parametrize(
    ("facts", "proven"),
    [
        ({}, False),
        ({"spf": "pass"}, True),
        ({"dmarc": "pass"}, True),
        ({"dkim": ["mail.example.org"]}, True),
        ({"dkim": ["esp.example"]}, False),
        ({"spf": "fail", "dmarc": "fail"}, False),
    ],
)
def test_a_domain_is_proven_by_what_the_log_has(facts, proven):
    assert is_proven(mail(**facts)) is proven
