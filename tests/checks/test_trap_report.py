"""The report on traps, over records that a server makes of dialogues."""

from datetime import UTC

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.replays import configuration, kept, message, recorded, session
from tests.ledger.mail_records import ANY_RECORD, SPOILED

from gatepost.checks.trap_report.entries import Entries
from gatepost.checks.trap_report.judging import Outcome
from gatepost.checks.trap_report.listing import report
from gatepost.checks.trap_report.run import TrapReport, unused
from gatepost.ledger.records import Transaction, Trap
from gatepost.ledger.words.fitting import columns, plain
from gatepost.ledger.words.sections import as_text
from gatepost.lists.addresses import AddressList
from gatepost.traps.intervals import clopper_pearson

TRAPS = """
trap@example.com      contact page
second@example.com
gone@example.com      class=recycled
never@example.com
"""
# The local part of the sender names the results and opinions.
PLUGIN = """
from gatepost import Plugin, deny

class Facts(Plugin):
    before = ("score",)

    def on_mail(self, tx, sender):
        words = sender.local.split("-")
        if "acquainted" in words or "trusted" in words:
            tx.results.add("standing", words[0])
        if "marked" in words:
            tx.results.add("trap_memory", "marked", score=3)
        if "points" in words:
            tx.results.add("dnsbl", "listed", score=8)
        if "many" in words:
            tx.results.add("uribl", "listed", score=10)
"""
SHADOW = """
from gatepost import Plugin, deny

class Opinion(Plugin):
    def on_rcpt(self, tx, rcpt):
        if tx.reverse_path.local == "opinion" or rcpt.user == "disliked":
            return deny("no", reason="listed")
"""
NO_PRIVACY = {"privacy": []}
HELLO = {"smtp": "EHLO mail.example.org\r\n", "lmtp": "LHLO mail.example.org\r\n"}
SCORE = {"use": "score", "options": {"deny": 10, "stages": ["message"]}}


@pytest.fixture
def sent(tmp_path):
    """Return a function: send transactions, and return the findings about their records."""
    (tmp_path / "traps").write_text(TRAPS)
    (tmp_path / "facts.py").write_text(PLUGIN)
    (tmp_path / "opinion.py").write_text(SHADOW)

    def send(
        *transactions,
        action="refuse",
        known=(),
        peers=("192.0.2.7",),
        top=10,
        ledger=NO_PRIVACY,
        protocol="smtp",
        **traps,
    ):
        plugins = [{"use": "facts.py"}, {"use": "opinion.py", "action": "log"}, SCORE]
        config = configuration(
            tmp_path,
            traps={"lists": ["traps"], "action": action, "delay": "0s", **traps},
            plugin=plugins,
            recipients={"domains": ["example.com"], "known": list(known)},
            ledger=ledger,
        )
        records = []
        for peer in peers:
            text = session(*transactions, hello=HELLO[protocol])
            records += recorded(config, text, peer=(peer, 40412), protocol=protocol)
        counts = TrapReport(10.0, top)
        for record in kept(tmp_path / "ledger", records):
            if isinstance(record, Transaction):
                counts.add(record)
        entries = AddressList.from_lines(TRAPS.split("\n"), "traps")
        return counts.findings(0.0, 1.0, entries)

    return send


def to(*names, sender="alice"):
    return message(*(f"{name}@example.com" for name in names), sender=f"{sender}@example.org")


def stopped(counts):
    return msgspec.structs.astuple(counts)[:5]


def text_of(found):
    return "\n".join(plain(line) for line in as_text(report(found), 80, UTC))


def test_refused_messages_are_counted_with_the_users_that_they_named(sent):
    found = sent(to("bob", "carol", "trap"), to("trap"), to("bob"))
    assert stopped(found.refused) == (2, 1, 2, 0, 1)
    assert found.results == {"refused": 2, "accepted": 1}
    assert found.outcomes == {Outcome.REFUSED.value: 2}


def test_shares_have_exact_intervals(sent):
    found = sent(to("bob", "trap"), to("trap"), to("bob"))
    low, high = clopper_pearson(1, 3)
    assert msgspec.structs.astuple(found.shares["alone_of_all"]) == (1, 3, low, high)
    assert found.shares["refused_of_refused"].events == 2
    assert found.shares["known_of_refused_by_traps"].events == 0


def test_points_of_other_plugins_would_have_refused_the_message_too(sent):
    found = sent(to("bob", "trap", sender="many"), to("bob", "trap", sender="points"))
    assert stopped(found.refused) == (2, 2, 2, 1, 1)
    assert found.other_rules == {"score": 1}


def test_points_of_the_mark_are_not_those_of_another_rule(sent):
    found = sent(to("bob", "trap", sender="points-marked"))
    assert stopped(found.refused) == (1, 1, 1, 0, 1)


def test_a_plugin_in_shadow_mode_counts_if_it_would_have_refused_all(sent):
    found = sent(to("bob", "trap", sender="opinion"), to("bob", "disliked", "trap"))
    assert stopped(found.refused) == (2, 2, 3, 1, 1)
    assert found.other_rules == {"opinion": 1}


def test_classes_and_entries_are_counted(sent):
    found = sent(to("bob", "trap", "second"), to("trap"), peers=("192.0.2.7", "192.0.9.1"))
    assert list(found.classes) == ["pristine"]
    assert stopped(found.classes["pristine"]) == (4, 2, 2, 0, 2)
    trap, second = found.entries
    assert (trap.entry, trap.line, trap.hits, trap.refused) == ("trap@example.com", 2, 4, 4)
    assert (trap.with_users, trap.alone, trap.networks) == (2, 2, 2)
    assert (second.entry, second.hits) == ("second@example.com", 2)
    assert found.networks == [("192.0.2.0/24", 2), ("192.0.9.0/24", 2)]


def test_a_refused_recipient_leaves_the_message_and_is_counted(sent):
    found = sent(to("bob", "gone"))
    assert found.results == {"accepted": 1}
    assert found.outcomes == {Outcome.RECIPIENT.value: 1}
    assert stopped(found.refused)[0] == 0
    assert found.classes == {}


def test_a_trap_that_is_refused_alone_is_not_another_reason(sent):
    refused = message("trap@example.com", sender="trusted-x@example.org", end="RSET\r\n")
    found = sent(refused, message("gone@example.com", end=""))
    assert found.outcomes == {Outcome.RECIPIENT.value: 2}
    assert (found.refused.messages, found.known) == (0, 1)


def test_many_unknown_recipients_are_a_trap_of_their_own(sent):
    names = [f"unknown{n}" for n in range(12)]
    found = sent(to(*names, "bob"), known=["bob@example.com"])
    assert stopped(found.refused) == (1, 1, 1, 0, 1)
    assert list(found.classes) == ["virtual"]
    (entry,) = found.entries
    assert (entry.list, entry.line, entry.hits, entry.refused) == ("traps.many_unknown", 0, 1, 1)


def test_an_unknown_recipient_is_no_user(sent):
    found = sent(to("unknown", "trap"), known=["bob@example.com"])
    assert stopped(found.refused) == (1, 0, 0, 0, 0)


def test_hashed_addresses_give_the_same_counts(sent):
    found = sent(to("bob", "trap", sender="acquainted"), ledger={"privacy": ["addresses"]})
    assert (stopped(found.refused), found.unused.count) == ((1, 1, 1, 0, 1), 3)
    assert not found.known_senders[0].sender.startswith("acquainted")


@pytest.mark.parametrize("verdict", ["data", "end"])
def test_in_lmtp_a_refusal_counts_once(sent, verdict):
    found = sent(to("bob", "carol", "trap"), protocol="lmtp", verdict=verdict)
    assert stopped(found.refused) == (1, 1, 2, 0, 1)


def test_a_message_that_is_refused_for_another_reason_is_not_the_traps(sent):
    found = sent(to("trap"), rcpt="as-unknown", known=["bob@example.com"])
    assert found.outcomes == {Outcome.OTHERS.value: 1}
    assert found.refused.messages == 0


def test_a_transaction_without_a_message_is_a_hit_only(sent):
    found = sent(message("trap@example.com", end="RSET\r\n"))
    assert found.outcomes == {Outcome.ABANDONED.value: 1}
    assert (found.refused.messages, found.entries[0].hits) == (0, 1)


def test_a_held_message_is_counted(sent):
    found = sent(to("trap"), verdict="hold", hold_share=1.0)
    assert found.outcomes == {Outcome.HELD.value: 1}


def test_shadow_mode_shows_what_traps_would_stop(sent):
    found = sent(to("bob", "trap"), to("bob", "trap", sender="many"), action="shadow")
    assert found.outcomes == {Outcome.SHADOWED.value: 1, Outcome.OTHERS.value: 1}
    assert stopped(found.shadow) == (2, 2, 2, 1, 1)
    assert found.refused.messages == 0


def test_shadow_mode_is_reported_in_numbers(sent):
    """The hits, the messages that would have been refused, and the known senders among them."""
    found = sent(
        to("bob", "trap"),
        to("bob", "trap", sender="acquainted"),
        to("bob", "gone"),
        message("trap@example.com", sender="x@example.org", end="RSET\r\n"),
        to("bob"),
        action="shadow",
    )
    assert (found.shadow_hits, found.shadow.messages, found.shadow.known) == (4, 2, 1)
    shares = {name: (one.events, one.trials) for name, one in found.shares.items()}
    assert (shares["shadow_of_all"], shares["known_of_shadow"]) == ((2, 4), (1, 2))
    text = text_of(found)
    assert "Would be refused without shadow mode" in text
    for line in ("transactions with a trap 4", "messages of known senders, probably wrong 1"):
        assert line in [" ".join(one.split()) for one in text.splitlines()]


def test_shadow_hits_without_an_effect_are_reported_too(sent):
    found = sent(to("bob", "gone"), action="shadow")
    assert (found.shadow_hits, found.shadow.messages) == (1, 0)
    text = text_of(found)
    assert "transactions with a trap" in text
    assert "that named a user" not in text


def test_without_shadow_mode_the_report_has_nothing_about_it(sent):
    text = text_of(sent(to("bob", "trap")))
    assert "shadow" not in text


def test_shadow_mode_stops_nothing_that_ended_without_a_message(sent):
    found = sent(message("bob@example.com", "trap@example.com", end="RSET\r\n"), action="shadow")
    assert found.outcomes == {Outcome.ABANDONED.value: 1}
    assert found.shadow.messages == 0


def test_a_trap_in_shadow_mode_is_not_the_reason_of_a_refusal(sent):
    identifier = "20110601093015.ga12345"
    found = sent(to(identifier, "trap", "bob"), known=["bob@example.com"])
    assert list(found.classes) == ["pristine"]
    counts = {one.trap_class: (one.hits, one.refused) for one in found.entries}
    assert counts == {"pristine": (1, 1), "message-id": (1, 0)}


def test_rules_that_would_have_refused_a_message_without_users_are_not_named(sent):
    found = sent(to("trap", sender="many"))
    assert found.other_rules == {}


def test_known_senders_are_listed_with_their_references(sent):
    found = sent(to("bob", "trap", sender="acquainted"), to("bob", "trap", sender="trusted-x"))
    assert found.known == found.shares["known_of_refused_by_traps"].trials + 1 == 2
    newest, oldest = found.known_senders
    assert (newest.standing, newest.outcome) == ("trusted", Outcome.RECIPIENT.value)
    assert (oldest.standing, oldest.trap, oldest.line) == ("acquainted", "trap@example.com", 2)
    assert oldest.ref.endswith("-1.1")
    assert found.known_refused == 1


def test_only_the_newest_known_senders_are_kept(sent):
    found = sent(*[to("bob", "trap", sender="acquainted")] * 3, top=1)
    assert (found.known, len(found.known_senders)) == (3, 1)
    assert found.known_senders[0].ref.endswith("-1.3")


def test_marked_messages_are_counted_by_what_became_of_them(sent):
    found = sent(
        to("bob", sender="marked"),
        to("bob", sender="marked-points"),
        to("bob", sender="marked-many"),
        to("bob", "trap", sender="marked"),
    )
    marked = found.marks["trap_memory"]
    assert (marked.messages, marked.accepted, marked.otherwise_refused) == (4, 1, 1)
    assert (marked.by_score, marked.needed) == (2, 1)


def test_entries_without_a_hit_are_listed(sent):
    found = sent(to("trap"), to("gone"))
    assert (found.unused.entries, found.unused.count) == (4, 2)
    assert found.unused.first == ["traps:3 second@example.com", "traps:5 never@example.com"]


def test_the_list_of_unused_entries_is_bounded():
    entries = AddressList.from_lines([f"a{n}@example.com" for n in range(50)], "t")
    found = unused(entries, {"a0@example.com"}, 3, incomplete=False)
    assert (found.count, len(found.first)) == (49, 3)


def test_more_entries_and_networks_than_the_limits_are_not_kept():
    entries = Entries(most=2, most_networks=3)
    for n in range(5):
        for network in "ab":
            entries.hit(Trap(f"{n}@example.com", f"{n}@example.com", "t", n), network)
    assert (len(entries), entries.is_full) == (2, True)
    assert [one.networks for one in entries.top(9)] == [2, 1]


def test_a_record_without_classes_is_that_of_a_pristine_trap(sent):
    counts = TrapReport()
    counts.add(SPOILED)
    found = counts.findings(0.0, 1.0)
    assert (found.refused.alone, list(found.classes)) == (1, ["pristine"])


def lines(found, width=80):
    return [plain(line) for line in as_text(report(found), width, UTC)]


def test_the_file_of_a_list_is_shown_without_its_folder(sent):
    assert any(line.startswith("traps:2 trap@example.com  ") for line in lines(sent(to("trap"))))


def test_without_hits_the_report_lists_its_later_content(sent):
    text = "\n".join(lines(sent(to("bob"))))
    assert "No trap was hit" in text
    assert "Shares" not in text
    assert "Traps without a hit: 4 of 4" in text


@settings(max_examples=60)
@given(st.lists(ANY_RECORD, max_size=20), st.sampled_from([0.0, 10.0]))
def test_any_records_give_a_report_that_fits_a_terminal(records, threshold):
    counts = TrapReport(threshold, 3)
    for record in records:
        if isinstance(record, Transaction):
            counts.add(record)
    found = counts.findings(0.0, 1.0)
    msgspec.json.encode(found)
    assert found.refused.alone + found.refused.others == found.refused.with_users
    assert sum(found.outcomes.values()) <= sum(found.results.values())
    for line in lines(found):
        assert columns(line) <= 80
        assert line.isprintable()
