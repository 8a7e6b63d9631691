"""Known problems with traps in other mail servers, each as a dialogue.

The docstring of a test names the public thread or the system. `ELSEWHERE` names the tests of other
files that play a problem.
"""

import asyncio
from pathlib import Path

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost import Plugin
from gatepost.ledger.records import Transaction
from gatepost.model.decision import deny
from gatepost.plugins.iprev import Iprev
from gatepost.plugins.trap_memory import TrapMemory
from gatepost.testing import FakeResolver, MemoryServer, MemoryStore, play

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
USERS = [f"user{at}@example.com" for at in range(12)]
TRAP = "hidden-page@example.com"
UNKNOWN = "550 5.1.1 No such mailbox [*]"
OURS = {"domains": ["example.com"], "known": USERS}
PATIENT = {"errors": 1000, "soft_errors": 1000}

ELSEWHERE = {
    "rspamd/rspamd#3591, #3592: another module refuses first, and the trap is missed": (
        "session/test_traps.py",
        "test_no_order_of_plugins_hides_a_trap",
    ),
    "qpsmtpd, Haraka: an exception or a wrong return value accepts the message": (
        "session/test_traps.py",
        "test_no_decision_or_failure_of_a_plugin_hides_a_hit",
    ),
    "Stalwart: greylisting and unknown recipients come before traps": (
        "session/test_traps.py",
        "test_unknown_recipient_can_be_a_trap",
    ),
    "rspamd/rspamd.com#708: a trap among several recipients is ignored by default": (
        "session/test_traps.py",
        "test_trap_among_five_recipients_refuses_the_message",
    ),
    "every server: RSET and one recipient per message evade the rule": (
        "plugins/test_trap_memory.py",
        "test_a_hit_counts_however_the_transaction_ends",
    ),
    "rspamd/rspamd#5629: hits worsen the reputation of a client for some days": (
        "plugins/test_trap_memory.py",
        "test_a_hit_is_dropped_after_a_week",
    ),
    "baruwaproject/baruwa2#74: one customer's recipients block a server that many share": (
        "plugins/test_trap_memory.py",
        "test_a_network_of_many_old_domains_is_shared",
    ),
    "future-architect/arch-guidelines#201: one recycled trap ruins an honest sender": (
        "plugins/test_trap_memory.py",
        "test_bounces_and_mistakes_of_a_person_teach_nothing",
    ),
    "simple-login/app#1489: a sender that hit a trap is recognised at other addresses": (
        "plugins/test_trap_memory.py",
        "test_a_proven_domain_is_remembered_in_other_networks",
    ),
    "haraka/Haraka#948: a penalty cannot be cleared": (
        "cli/test_traps_forgive.py",
        "test_a_network_is_forgiven_by_the_address_of_a_client",
    ),
    "rspamd/rspamd#1882: users who reply to all are refused": (
        "session/test_auth.py",
        "test_authenticated_senders_are_exempt_from_every_class_of_traps",
    ),
    "RFC 2142: postmaster and abuse are never traps": (
        "session/test_traps.py",
        "test_role_addresses_and_known_recipients_are_never_traps",
    ),
    "Stalwart, rspamd: case, tags and rewriting hide a trap": (
        "session/test_traps.py",
        "test_all_spellings_of_a_trap_match",
    ),
    "every server: the reason for a trap is not recorded": (
        "session/test_traps.py",
        "test_plugins_get_the_hit",
    ),
    "fail2ban/fail2ban#1514: a pattern that matches nothing is not reported": (
        "cli/test_check.py",
        "test_an_empty_list_is_a_warning",
    ),
    "mitodl/open-discussions#607, mozilla/addons-server#11707: bounces of forged mail hit traps": (
        "session/test_traps_evidence.py",
        "test_evidence_depends_on_the_class_and_the_sender",
    ),
    "hmailserver/hmailserver#160: unknown recipients do not count as errors": (
        "session/test_traps_without_list.py",
        "test_the_limit_of_errors_ends_the_session_and_the_hit_is_recorded",
    ),
    "every server: an address one typing error away from a user becomes a trap": (
        "registry/test_registry.py",
        "test_what_exists_a_role_and_a_typing_error_speak_against_arming",
    ),
    "every server: a mailbox is created at the address of a trap": (
        "session/test_traps_registered.py",
        "test_a_mailbox_that_a_look_up_finds_retires_a_registered_trap",
    ),
    "qpsmtpd, rspamd: each recipient is compared with every trap": (
        "lists/test_index.py",
        "test_an_indexed_list_equals_the_list_in_memory",
    ),
    "every server: the time of a reply reveals a trap": (
        "traps/test_table.py",
        "test_a_hit_searches_as_many_patterns_as_a_miss",
    ),
    "every server: only a trap is refused at DATA, and only it has a delay": (
        "session/test_traps_verdict.py",
        "test_all_refusals_of_a_message_have_the_same_delay",
    ),
    "anonaddy/anonaddy#323, #779: nothing shows what was blocked, to let it through": (
        "session/test_traps_verdict.py",
        "test_a_message_to_traps_alone_is_accepted_and_held",
    ),
}


@pytest.mark.parametrize("problem", ELSEWHERE)
def test_the_test_of_a_problem_exists(problem):
    file, name = ELSEWHERE[problem]
    assert f"def {name}(" in (Path(__file__).parents[1] / file).read_text("utf-8")


def known(**traps):
    return config(recipients=OURS, limits=PATIENT, traps=traps)


def rcpt(*addresses, reply=250):
    return "".join(f"C: RCPT TO:<{one}>\nS: {reply}\n" for one in addresses)


def content(reply=250, *fields):
    lines = "".join(f"C: {one}\n" for one in ("Subject: x", *fields))
    return f"C: DATA\nS: 354\n{lines}C:\nC: text\nC: .\nS: {reply}\n"


def records(lines, **options):
    """Send commands and read all replies; return the records of the transactions."""
    found = []

    async def scenario():
        async with MemoryServer(records=found.append, **options) as server:
            client = server.connect()
            client.send("".join(f"{line}\r\n" for line in lines).encode())
            for _ in range(len(lines) + 1):
                await client.reply()
            await client.close()

    asyncio.run(scenario())
    return [one for one in found if isinstance(one, Transaction)]


# What the other recipients get


@pytest.mark.parametrize("words", ["", " class=recycled"])
def test_a_trap_among_the_recipients_never_gets_spam_to_the_others(words):
    """mailcow/mailcow-dockerized#5897: a trap switched filters off for all recipients."""
    content_filter = plugin(on_message=lambda _: deny("spam"))
    to_trap, end = (
        (550, content("554 5.7.1 spam [*]")) if words else (250, f"C: DATA\nS: {REFUSED}")
    )
    played = play(
        OPEN + MAIL + rcpt(USERS[0]) + rcpt(TRAP, reply=to_trap) + rcpt(USERS[1]) + end,
        [content_filter],
        traps=[TRAP + words],
        config=known(),
    )
    assert played.messages == []


def test_a_former_colleague_among_the_recipients_does_not_cost_the_others_their_mail():
    """Recycled traps: mail to a person who has left is legitimate for the others."""
    played = play(
        OPEN + MAIL + rcpt(USERS[0]) + rcpt(TRAP, reply=UNKNOWN) + rcpt(USERS[1]) + content(),
        traps=[f"{TRAP} class=recycled left in 2019"],
        config=known(),
    )
    assert [one.recipients for one in played.messages] == [USERS[:2]]


@pytest.mark.parametrize("words", ["class=typo", "class=seeded"])
def test_a_trap_that_was_subscribed_to_a_list_does_not_cost_the_subscribers_their_mail(words):
    """A poisoned subscription: a trap that a person can mistype or guess refuses only itself."""
    trap = "info@example.com"
    played = play(
        OPEN + MAIL + rcpt(*USERS) + rcpt(trap, reply=UNKNOWN) + content(),
        traps=[f"{trap} {words}"],
        config=known(),
    )
    assert [one.recipients for one in played.messages] == [USERS]


def test_a_list_server_with_ten_old_addresses_is_no_attack():
    """A post to many subscribers in one transaction: ten unknown ones are less than 80 %."""
    gone = [f"gone{at}@example.com" for at in range(10)]
    played = play(
        OPEN + MAIL + rcpt(*USERS) + rcpt(*gone, reply=UNKNOWN) + content(), config=known()
    )
    assert [one.recipients for one in played.messages] == [USERS]


# What the sender learns


@pytest.mark.parametrize("verdict", ["data", "end", "hold"])
@pytest.mark.parametrize("words", ["", " class=learned", " class=typo"])
def test_no_reply_names_the_trap_or_the_rule(verdict, words):
    """rspamd/rspamd#1964: the reply had the address of the trap."""
    played = play(
        OPEN + MAIL + rcpt(USERS[0]) + "C: RCPT TO:<hidden-page@example.com>\nS: *\n"
        "C: DATA\nS: *\nC: a: b\nC:\nC: .\nS: *\n",
        traps=[TRAP + words],
        config=known(verdict=verdict, hold_share=0.0),
    )
    text = " ".join(played.replies).lower()
    assert not any(word in text for word in ("trap", "hidden", "verybadrcptto", "spam"))


def test_rcpt_for_a_trap_and_for_a_user_get_the_same_reply():
    """reacherhq/check-if-email-exists#91, aels/mailtools#14: a verifier finds no trap at RCPT."""
    played = play(OPEN + MAIL + rcpt(USERS[0], TRAP), traps=[TRAP], config=known())
    assert played.replies[3] == played.replies[4]


def test_a_random_address_is_unknown():
    """umuterturk/email-verifier#8: a verifier recognises servers that accept every address."""
    play(OPEN + MAIL + rcpt("x7q0zk3v9w@example.com", reply=UNKNOWN), traps=[TRAP], config=known())


# Senders that must not be punished


def test_a_host_of_google_is_not_remembered():
    """fail2ban/fail2ban#3940: "the google host(s) may get banned" for one rejected recipient."""
    store, google = MemoryStore(), ("209.85.220.41", 4711)
    options = {"store": store, "peer": google, "traps": [TRAP], "config": known()}
    play(OPEN + MAIL + rcpt(TRAP) + f"C: DATA\nS: {REFUSED}\n", [TrapMemory()], **options)
    [message] = play(OPEN + MAIL + rcpt(USERS[0]) + content(), [TrapMemory()], **options).messages
    assert b"X-Trap-Memory" not in message.content


def test_a_host_with_a_name_of_google_is_not_remembered():
    """fail2ban/fail2ban#3940: the same in a network that is not in the shipped list."""
    host = "203.0.113.9"
    resolver = FakeResolver(ptr={host: ["mail-x.google.com"]}, a={"mail-x.google.com": host})
    options = {"store": MemoryStore(), "peer": (host, 1), "traps": [TRAP], "config": known()}

    def sent(text):
        return play(OPEN + MAIL + text, [Iprev(), TrapMemory()], resolver=resolver, **options)

    sent(rcpt(TRAP) + f"C: DATA\nS: {REFUSED}\n")
    [message] = sent(rcpt(USERS[0]) + content()).messages
    assert b"X-Trap-Memory" not in message.content


def test_a_call_out_to_a_trap_has_no_effect():
    """Sender verification: MAIL with the null sender, RCPT and RSET, then other mail."""
    call_out = "C: MAIL FROM:<>\nS: 250\n" + rcpt(TRAP) + "C: RSET\nS: 250\n"
    options = {"store": MemoryStore(), "traps": [TRAP], "config": known()}
    options["peer"] = ("203.0.113.9", 1)
    text = OPEN + call_out + MAIL + rcpt(USERS[0]) + content()
    [message] = play(text, [TrapMemory()], **options).messages
    assert b"X-Trap-Memory" not in message.content


def test_a_bounce_to_a_forged_sender_has_no_effect_on_later_mail():
    """vexim/vexim2#161: hosts that bounce forged mail were listed."""
    bounce = "C: MAIL FROM:<>\nS: 250\n" + rcpt(TRAP) + f"C: DATA\nS: {REFUSED}\n"
    options = {"store": MemoryStore(), "traps": [TRAP], "config": known()}
    options["peer"] = ("203.0.113.9", 1)
    play(OPEN + bounce, [TrapMemory()], **options)
    [message] = play(OPEN + MAIL + rcpt(USERS[0]) + content(), [TrapMemory()], **options).messages
    assert b"X-Trap-Memory" not in message.content


@pytest.mark.parametrize(
    "session", ["", "C: QUIT\nS: 221\n", "C: EHLO x\nS: 250\nC: QUIT\nS: 221\n"]
)
def test_monitoring_that_only_connects_is_no_attack(session):
    """crowdsecurity/crowdsec#1106: connections without mail were taken for spam."""
    options = {"store": MemoryStore(), "traps": [TRAP], "config": known()}
    options["peer"] = ("203.0.113.9", 1)
    play("S: 220\n" + session, [TrapMemory()], **options)
    [message] = play(OPEN + MAIL + rcpt(USERS[0]) + content(), [TrapMemory()], **options).messages
    assert b"X-Trap-Memory" not in message.content


# What is recorded and learned


def test_every_message_of_a_wave_is_recorded():
    """rspamd/rspamd#1776: a wave of mail to a trap is refused, so that nothing is learned."""
    one = ["MAIL FROM:<a@client.example>", f"RCPT TO:<{TRAP}>", "DATA"]
    found = records(["EHLO x", *one * 200], traps=[TRAP], config=known(delay=0.0))
    assert [[trap.address for trap in record.traps] for record in found] == [[TRAP]] * 200


@pytest.mark.parametrize("words", ["", " class=learned"])
def test_the_content_of_a_refused_message_can_be_learned(words):
    """rspamd/rspamd#3516, #3944: a message is either learned or refused, never both."""

    class Learn(Plugin):
        def after_message(self, tx, _outcome):
            learned.append(b"".join(tx.message.content()))

    learned = []
    play(
        OPEN + MAIL + rcpt(TRAP) + content(REFUSED),
        [Learn()],
        traps=[TRAP + words],
        config=known(verdict="end"),
    )
    assert learned == [b"Subject: x\r\n\r\ntext\r\n"]


def test_plugins_get_the_client_and_the_reason_of_an_unknown_recipient():
    """hmailserver/hmailserver#390: there is no event for unknown recipients."""
    seen = []
    keeper = plugin(
        after_rcpt=lambda tx, rcpt, outcome: seen.append(
            (tx.session.peer.host, str(rcpt.address), outcome.answer.decision.reason)
        )
    )
    play(OPEN + MAIL + rcpt("nobody@example.com", reply=UNKNOWN), [keeper], config=known())
    assert seen == [("192.0.2.1", "nobody@example.com", "unknown-recipient")]


def test_the_content_of_a_message_to_unknown_recipients_is_never_read():
    """modoboa/modoboa#1197: mail for a user that was deleted was still scanned."""
    seen = []
    filter_ = plugin(on_headers=lambda *_: seen.append(1), on_message=lambda _: seen.append(1))
    refused = (
        rcpt("left@example.com", reply=UNKNOWN) + "C: DATA\nS: 554 5.5.1 No valid recipients\n"
    )
    play(OPEN + MAIL + refused, [filter_], config=known())
    assert seen == []


# Entries


def test_a_domain_is_a_trap():
    """mailcow/mailcow-dockerized#4200: "@example.com" was not matched."""
    played = play(
        OPEN + MAIL + rcpt("any.name@example.com") + f"C: DATA\nS: {REFUSED}\n",
        traps=["@example.com"],
        config=config(),
    )
    assert played.messages == []


def test_a_domain_is_a_trap_except_for_its_users():
    """mailcow/mailcow-dockerized#379, #1972: everything but some addresses is a trap."""
    options = {"traps": ["@example.com"], "config": known()}
    play(OPEN + MAIL + rcpt("anything-else@example.com") + f"C: DATA\nS: {REFUSED}\n", **options)
    exempt = ("postmaster@example.com", "user1+shop@example.com", USERS[0])
    for address in exempt:
        assert len(play(OPEN + MAIL + rcpt(address) + content(), **options).messages) == 1


@pytest.mark.parametrize("case", ["example@test.eu", "EXAMPLE@Test.EU"])
def test_a_pattern_with_anchors_matches(case):
    r"""rspamd/rspamd#2721: /^example@test\.eu$/ never matched, and the user got the mail."""
    play(
        OPEN + MAIL + rcpt(case) + f"C: DATA\nS: {REFUSED}\n",
        traps=[r"/^example@test\.eu$/ a pattern"],
        config=config(recipients={"domains": ["test.eu"]}),
    )


def test_a_list_of_millions_in_the_usual_format_is_read():
    """vedetta-com/caesonia#160: public lists of traps are one address per line with comments."""
    lines = [
        "# The traplist",
        "",
        "aaaa@example.com",
        "  Bbbb@Example.com  ",
        "cccc@elsewhere.example",
    ]
    play(
        OPEN + MAIL + rcpt("bbbb@example.com") + f"C: DATA\nS: {REFUSED}\n",
        traps=lines,
        config=config(),
    )


def test_a_leaked_tag_is_a_trap_and_its_user_is_not():
    """anonaddy/anonaddy#37: an address that was given to one shop only shows who sold it."""
    tagged, traps = "user1+shop@example.com", ["user1+shop@example.com given to one shop only"]
    play(OPEN + MAIL + rcpt(tagged) + f"C: DATA\nS: {REFUSED}\n", traps=traps, config=known())
    for address in (USERS[1], "user1+other@example.com"):
        play(OPEN + MAIL + rcpt(address) + content(), traps=traps, config=known())


# Guessed names


GUESSED = {
    "mailcow/mailcow-dockerized#4093": "ckb lpy tcu pzu qzw wfd xhr ysn bmt kjd",
    "fail2ban/fail2ban#418": (
        "danil danila danilov davydov dementiy den denis diana dima dina dmitriy dmitry"
    ),
    "fail2ban/fail2ban#2426, #2471, #3017": "a.smith b.smith c.smith d.smith e.smith f.smith"
    " g.smith h.smith i.smith j.smith",
}


@pytest.mark.parametrize("thread", GUESSED)
@pytest.mark.parametrize("end", ["QUIT", "RSET", "DATA"])
def test_guessed_names_are_a_hit_however_the_transaction_ends(thread, end):
    """fail2ban/fail2ban#418, #3017 and others: wild guesses in bulk, gone before DATA."""
    names = GUESSED[thread].split()
    lines = ["EHLO x", "MAIL FROM:<a@client.example>"]
    lines += [f"RCPT TO:<{one}@example.com>" for one in names]
    [record] = records([*lines, end], config=known())
    assert [trap.trap_class for trap in record.traps] == ["virtual"]


def test_guesses_from_a_network_count_for_its_other_addresses():
    """fail2ban/fail2ban#3017: they "keep changing the IP address too"."""
    names = [f"{one}@example.com" for one in GUESSED["fail2ban/fail2ban#418"].split()]
    options = {"store": MemoryStore(), "config": known()}
    guesses = OPEN + MAIL + rcpt(*names, reply=550) + "C: QUIT\nS: 221\n"
    play(guesses, [TrapMemory()], peer=("203.0.113.7", 1), **options)
    text = OPEN + MAIL + rcpt(USERS[0]) + content()
    [message] = play(text, [TrapMemory()], peer=("203.0.113.200", 1), **options).messages
    assert b"X-Trap-Memory: hit less than an hour ago" in message.content
