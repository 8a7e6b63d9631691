"""Traps without a list: many unknown recipients, and recipients that look like identifiers."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.ledger.records import Transaction
from gatepost.model.decision import defer
from gatepost.model.lookup import unknown
from gatepost.testing import MemoryServer, play

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
USERS = [f"user{at}@example.com" for at in range(20)]
OURS = {"domains": ["example.com"], "known": USERS}
NOBODY = [f"nobody-{at:02}@example.com" for at in range(40)]
IDENTIFIER = "20110601093015.ga12345@example.com"
CONTENT = "C: DATA\nS: 354\nC: Subject: x\nC: .\nS: 250\n"


def made(*, limits=None, **traps):
    return config(
        recipients=OURS, traps=traps, limits=limits or {"errors": 1000, "soft_errors": 1000}
    )


def rcpt(*addresses, reply=250):
    return "".join(f"C: RCPT TO:<{one}>\nS: {reply}\n" for one in addresses)


def hits_of(transcript, configuration, *, plugins=()):
    """Play a transcript to its end; return the traps of each transaction's record."""
    found = []

    async def scenario():
        server = MemoryServer(plugins, config=configuration, records=found.append)
        async with server:
            client = server.connect()
            client.send(transcript)
            await client.close()

    asyncio.run(scenario())
    return [list(one.traps) for one in found if isinstance(one, Transaction)]


def sent(*lines):
    return "".join(f"{line}\r\n" for line in ("EHLO x", *lines)).encode()


def asks(addresses, sender="sender@client.example"):
    return (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in addresses))


# Many unknown recipients


@pytest.mark.parametrize(
    ("unknown_ones", "users", "is_hit"),
    [(10, 1, True), (9, 1, False), (10, 2, True), (10, 3, False), (12, 3, True), (40, 10, True)],
)
def test_many_unknown_recipients_refuse_the_message(unknown_ones, users, is_hit):
    played = play(
        OPEN
        + MAIL
        + rcpt(*NOBODY[:unknown_ones], reply=550)
        + rcpt(*USERS[:users])
        + (f"C: DATA\nS: {REFUSED}\n" if is_hit else CONTENT),
        config=made(),
    )
    assert len(played.messages) == (not is_hit)


def test_repeated_and_differently_written_recipients_count_once():
    again = [one.upper() for one in NOBODY[:9]] * 3
    play(
        OPEN + MAIL + rcpt(*NOBODY[:9], *again, reply=550) + rcpt(USERS[0]) + CONTENT, config=made()
    )


def test_recipients_of_other_domains_do_not_count():
    others = [f"user{at}@elsewhere.example" for at in range(30)]
    played = play(
        OPEN
        + MAIL
        + rcpt(*NOBODY[:10], *others, reply=550)
        + rcpt(USERS[0])
        + f"C: DATA\nS: {REFUSED}\n",
        config=made(),
    )
    assert played.messages == []
    play(
        OPEN + MAIL + rcpt(*NOBODY[:9], *others, reply=550) + rcpt(USERS[0]) + CONTENT,
        config=made(),
    )


def test_recipients_that_a_plugin_refuses_count_as_users():
    greylist = plugin(on_rcpt=lambda *_: defer("later"))
    traps = hits_of(sent(*asks([*NOBODY[:10], *USERS[:3]]), "QUIT"), made(), plugins=[greylist])
    assert traps == [[]]


def test_recipients_that_a_look_up_does_not_have_count():
    looked_up = plugin(on_lookup=lambda *_: unknown())
    [[trap]] = hits_of(sent(*asks(NOBODY[:10]), "QUIT"), config(), plugins=[looked_up])
    assert (trap.trap_class, trap.note) == ("virtual", "10 of 10 recipients")


@pytest.mark.parametrize(
    "end", [["RSET"], ["QUIT"], ["EHLO x"], ["HELO x"], [], ["DATA", "QUIT"], ["DATA", "RSET"]]
)
def test_many_unknown_recipients_are_recorded_however_the_transaction_ends(end):
    [[trap]] = hits_of(sent(*asks(NOBODY[:10]), *end), made())
    assert (trap.list, trap.trap_class, trap.treatment) == (
        "traps.many_unknown",
        "virtual",
        "refuse all",
    )


def test_the_limit_of_errors_ends_the_session_and_the_hit_is_recorded():
    limits = made(limits={"errors": 10, "soft_errors": 10})
    [[trap]] = hits_of(sent(*asks(NOBODY[:30])), limits)
    assert trap.note == "10 of 10 recipients"


def test_a_hit_is_recorded_once():
    lines = sent(*asks([*NOBODY[:10], USERS[0]]), "DATA", "RSET", "QUIT")
    assert [len(traps) for traps in hits_of(lines, made())] == [1]


def test_the_log_and_plugins_get_the_hit():
    seen = []
    with capture_logs() as logs:
        play(
            OPEN + MAIL + rcpt(*NOBODY[:10], reply=550) + rcpt(USERS[0]) + "C: DATA\nS: 554\n",
            [plugin(observe_data=lambda tx: seen.extend(hit.trap_class for hit in tx.trap_hits))],
            config=made(),
        )
    assert seen == ["virtual"]
    assert logs[-1]["traps"] == ["nobody-00@example.com (traps.many_unknown)"]


def test_a_hit_belongs_to_its_transaction():
    refused = rcpt(*NOBODY[:9], reply=550)
    play(
        OPEN + MAIL + refused + "C: RSET\nS: 250\n" + MAIL + refused + rcpt(USERS[0]) + CONTENT,
        config=made(),
    )


@pytest.mark.parametrize(
    "sender", ["", "MAILER-DAEMON@client.example", "bounces-12@client.example"]
)
def test_many_unknown_recipients_are_a_hit_of_every_sender_because_a_bounce_has_one(sender):
    play(
        OPEN
        + f"C: MAIL FROM:<{sender}>\nS: 250\n"
        + rcpt(*NOBODY[:10], reply=550)
        + rcpt(USERS[0])
        + "C: DATA\nS: 554\n",
        config=made(),
    )


@pytest.mark.parametrize("traps", [{"many_unknown": None}, {"action": "shadow"}])
def test_many_unknown_recipients_can_be_permitted(traps):
    play(OPEN + MAIL + rcpt(*NOBODY, reply=550) + rcpt(USERS[0]) + CONTENT, config=made(**traps))


def test_a_trusted_sender_gets_the_unknown_recipients_refused_and_the_rest_marked():
    played = play(
        OPEN + MAIL + rcpt(*NOBODY[:20], reply=550) + rcpt(USERS[0]) + CONTENT,
        config=made(trusted=["192.0.2.0/24"]),
    )
    [message] = played.messages
    assert b"X-Gatepost-Trap: marked\r\n" in message.content


def test_without_known_recipients_no_recipient_is_unknown():
    play(OPEN + MAIL + rcpt(*NOBODY) + CONTENT, config=config())


# Identifiers of messages


def test_an_identifier_is_answered_as_a_user_is_and_refuses_the_message():
    played = play(
        OPEN + MAIL + rcpt(USERS[0]) + rcpt(IDENTIFIER) + f"C: DATA\nS: {REFUSED}\n",
        config=made(message_ids="armed"),
    )
    assert played.messages == []


@pytest.mark.parametrize("answer", ["as-unknown", "as-user"])
def test_an_identifier_is_a_hit_whatever_rcpt_answers(answer):
    code = 250 if answer == "as-user" else 550
    play(
        OPEN + MAIL + rcpt(USERS[0]) + rcpt(IDENTIFIER, reply=code) + f"C: DATA\nS: {REFUSED}\n",
        config=made(message_ids="armed", rcpt=answer),
    )


def test_by_default_an_identifier_is_recorded_without_an_effect():
    lines = sent(*asks([USERS[0], IDENTIFIER]), "DATA", "a: b", "", ".", "QUIT")
    [[trap]] = hits_of(lines, made())
    assert (trap.address, trap.trap_class, trap.note) == (IDENTIFIER, "message-id", "form: mutt")
    assert (trap.treatment, trap.shadow) == ("refuse all", True)
    play(OPEN + MAIL + rcpt(USERS[0]) + rcpt(IDENTIFIER, reply=550) + CONTENT, config=made())


def test_identifiers_can_be_ignored():
    assert hits_of(sent(*asks([IDENTIFIER]), "QUIT"), made(message_ids="off")) == [[]]


@pytest.mark.parametrize(
    "sender", ["", "postmaster@client.example", "double-bounce@client.example"]
)
def test_a_bounce_to_an_identifier_is_no_hit(sender):
    found = hits_of(sent(*asks([IDENTIFIER], sender), "QUIT"), made(message_ids="armed"))
    assert found == [[]]


@pytest.mark.parametrize(
    "address",
    [
        "prvs=1234abcdef=user@example.com",
        "srs0=hash=tt=client.example=user@example.com",
        "user+20110601093015.ga12345@example.com",
        "nobody@example.com",
    ],
)
def test_addresses_of_ours_and_names_are_no_identifiers(address):
    found = hits_of(sent(*asks([address]), "QUIT"), made(message_ids="armed"))
    assert all(not traps for traps in found)


def test_an_identifier_that_exists_is_no_trap():
    known = config(
        recipients=OURS | {"known": [*USERS, IDENTIFIER]}, traps={"message_ids": "armed"}
    )
    play(OPEN + MAIL + rcpt(IDENTIFIER) + CONTENT, config=known)


def test_an_identifier_of_another_domain_is_no_trap():
    address = IDENTIFIER.replace("example.com", "elsewhere.example")
    [traps] = hits_of(sent(*asks([address]), "QUIT"), made(message_ids="armed"))
    assert traps == []


def test_an_identifier_in_a_trap_list_has_the_class_of_its_entry():
    play(
        OPEN + MAIL + rcpt(IDENTIFIER, reply=550),
        traps=[f"{IDENTIFIER} class=recycled"],
        config=made(message_ids="armed"),
    )


# Bounces to traps of a list


@pytest.mark.parametrize("sender", ["", "mailer-daemon@client.example", "bounce@client.example"])
@pytest.mark.parametrize(("words", "is_refused"), [("", True), ("class=learned", False)])
def test_a_bounce_to_a_trap_is_refused_unless_the_trap_was_learned(sender, words, is_refused):
    end = f"C: DATA\nS: {REFUSED}\n" if is_refused else CONTENT
    play(
        OPEN + f"C: MAIL FROM:<{sender}>\nS: 250\n" + rcpt("hidden-page@example.com") + end,
        traps=[f"hidden-page@example.com {words}"],
        config=config(),
    )
