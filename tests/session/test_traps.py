"""The trap rule: with a trap among the recipients, the message is not delivered."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.session.dialogue import OPEN, REFUSED, TRAPS, config, plugin, reply

from gatepost.config.schema import RouteConfig
from gatepost.model.decision import accept, defer, deny
from gatepost.testing import MemoryServer, VirtualClock, play

GOOD = ["one@example.com", "two@example.com", "three@example.com", "four@example.com"]
SENDER = "MAIL FROM:<sender@client.example>"
CONFIG = config()

AFTER = """
    C: RCPT TO:<one@example.com>
    S: 503 5.5.1 Bad sequence of commands: MAIL first
    C: DATA
    S: 503 5.5.1 Bad sequence of commands: MAIL first
"""
CLEAN = """
    C: MAIL FROM:<sender@client.example>
    C: RCPT TO:<one@example.com>
    C: DATA
    S: 250
    S: 250
    S: 354
    C: Subject: clean
    C: .
    S: 250
"""


def envelope(recipients, reply_to_rcpt="250", *, pipelined=False):
    commands = [SENDER, *(f"RCPT TO:<{one}>" for one in recipients)]
    if pipelined:
        sent = [f"C: {one}" for one in commands]
        return "\n".join([*sent, *(f"S: {reply_to_rcpt}" for _ in commands)]) + "\n"
    return "\n".join(f"C: {one}\nS: {reply_to_rcpt}" for one in commands) + "\n"


def refused(transcript, plugins=(), **options):
    """Play a transcript, and check that only the message of `CLEAN` has been delivered."""
    options = {"traps": TRAPS, "config": CONFIG} | options
    played = play(OPEN + transcript + AFTER + CLEAN, plugins, **options)
    assert [one.recipients for one in played.messages] == [["one@example.com"]]
    assert played.messages[0].content.endswith(b"\r\nSubject: clean\r\n")
    return played


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("pipelined", [False, True])
def test_trap_among_five_recipients_refuses_the_message(place, pipelined):
    recipients = [*GOOD[:place], "trap@example.com", *GOOD[place:]]
    refused(envelope(recipients, pipelined=pipelined) + f"C: DATA\nS: {REFUSED}\n")


def test_trap_refuses_commands_sent_in_one_piece():
    lines = [SENDER, *(f"RCPT TO:<{one}>" for one in ("trap@example.com", *GOOD)), "DATA", "NOOP"]
    transcript = "\n".join(f"C: {line}" for line in lines)
    refused(f"{transcript}\n" + "S: 250\n" * 6 + f"S: {REFUSED}\nS: 250 2.0.0 Ok\n")


def test_trap_as_the_only_recipient_refuses_the_message():
    refused(envelope(["trap@example.com"]) + f"C: DATA\nS: {REFUSED}\n")


@pytest.mark.parametrize("place", [0, 2, 4])
def test_trap_refuses_the_first_chunk_and_drops_its_content(place):
    recipients = [*GOOD[:place], "trap@example.com", *GOOD[place:]]
    refused(envelope(recipients) + f"C: BDAT 16 LAST\nC: Subject: hello\nS: {REFUSED}\n")


def test_chunks_after_a_refused_one_are_dropped_until_the_last():
    refused(
        envelope(["trap@example.com", *GOOD])
        + f"""
        C: BDAT 14
        C: RSET or text
        S: {REFUSED}
        C: BDAT 12
        C: MAIL FROM:
        S: 503 5.5.1 Bad sequence of commands: the transaction has failed
        C: RCPT TO:<one@example.com>
        S: 503 5.5.1 Bad sequence of commands: the transaction has failed
        C: BDAT 6 LAST
        C: QUIT
        S: 503 5.5.1 Bad sequence of commands: the transaction has failed
        """
    )


def test_rset_ends_the_transaction_after_a_refused_chunk():
    refused(
        envelope(["trap@example.com", *GOOD])
        + f"C: BDAT 6\nC: text\nS: {REFUSED}\nC: RSET\nS: 250 2.0.0 Ok\n"
    )


def test_trap_refuses_pipelined_chunks():
    refused(
        envelope(["one@example.com", "trap@example.com"])
        + f"""
        C: BDAT 6
        C: text
        C: BDAT 6
        C: text
        C: BDAT 0 LAST
        S: {REFUSED}
        S: 503
        S: 503
        """
    )


def test_unknown_recipient_can_be_a_trap():
    known = {"domains": ["example.com"], "known": GOOD}
    listed = config(recipients=known, traps={"rcpt": "as-unknown"})
    refused(
        envelope(["one@example.com"])
        + f"""
        C: RCPT TO:<trap@example.com>
        S: 550 5.1.1 No such mailbox [*]
        C: DATA
        S: {REFUSED}
        """,
        config=listed,
    )


def test_recipient_in_another_domain_can_be_a_trap():
    refused(
        envelope(["one@example.com"])
        + f"""
        C: RCPT TO:<trap@elsewhere.example>
        S: 550 5.7.1 Relaying denied: not a domain of this server [*]
        C: DATA
        S: {REFUSED}
        """
    )


def test_trap_beyond_the_limit_of_recipients_counts():
    refused(
        envelope(["one@example.com"])
        + f"""
        C: RCPT TO:<trap@example.com>
        S: 452 4.5.3 Too many recipients [*]
        C: DATA
        S: {REFUSED}
        """,
        config=config(limits={"recipients": 1}),
    )


def test_refused_trap_alone_leaves_no_valid_recipient():
    play(
        OPEN
        + """
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<trap@elsewhere.example>
        C: DATA
        S: 250
        S: 550
        S: 554 5.5.1 No valid recipients
        C: RCPT TO:<one@example.com>
        C: DATA
        S: 250
        S: 554 5.7.1 Message refused by local policy*
        """,
        traps=TRAPS,
        config=CONFIG,
    )


async def never(*_args):
    await asyncio.Event().wait()


def broken(*_args):
    raise RuntimeError


async def late_answer(_tx, _rcpt):
    await asyncio.sleep(0)
    return accept()


def test_a_reply_421_closes_the_connection():
    with_421 = config(traps={"reply": reply("421 4.7.0 go")})
    spoiled = envelope(["trap@example.com"]) + "C: DATA\nS: 421 4.7.0 go [*]\nC: NOOP\nS:\n"
    play(OPEN + spoiled, traps=TRAPS, config=with_421)


ANSWERS = {
    "accept": lambda *_: accept(),
    "accept later": late_answer,
    "deny": lambda *_: deny("no"),
    "defer": lambda *_: defer("later"),
    "raise": broken,
    "time out": never,
    "wrong type": lambda *_: True,
}
CODES = {"accept": 250, "accept later": 250, "deny": 550, "defer": 450}


def on_trap(answer):
    return lambda tx, rcpt: answer(tx, rcpt) if rcpt.address.local == "trap" else None


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("on_error", ["defer", "deny", "skip"])
def test_no_decision_or_failure_of_a_plugin_hides_a_hit(name, on_error):
    failed = {"defer": 451, "deny": 554, "skip": 250}[on_error]
    code = CODES.get(name, failed)
    refused(
        envelope(["one@example.com"])
        + f"C: RCPT TO:<trap@example.com>\nS: {code}\nC: DATA\nS: {REFUSED}\n",
        [plugin(on_error, on_rcpt=on_trap(ANSWERS[name]))],
        config=config(limits={"hook_timeout": 0.01}),
    )


@pytest.mark.parametrize("stage", ["observe_rcpt", "after_rcpt"])
@pytest.mark.parametrize("method", [broken, never])
def test_no_failure_of_an_observer_hides_a_hit(stage, method):
    code = 451 if stage == "observe_rcpt" else 250
    refused(
        f"C: {SENDER}\nS: 250\nC: RCPT TO:<trap@example.com>\nS: {code}\n"
        f"C: RCPT TO:<one@example.com>\nS: 250\nC: DATA\nS: {REFUSED}\n",
        [
            plugin(
                **{stage: lambda _tx, rcpt, *_: method() if rcpt.address.local == "trap" else None}
            )
        ],
        config=config(limits={"hook_timeout": 0.01}),
    )


_PLUGINS = st.lists(
    st.tuples(
        st.sampled_from(sorted(set(ANSWERS) - {"time out"})), st.sampled_from(["defer", "skip"])
    ),
    max_size=4,
)


@given(_PLUGINS, st.integers(0, 4))
def test_no_order_of_plugins_hides_a_trap(plugins, place):
    """With any plugins in any order, a message with a trap is refused."""
    installed = [plugin(on_error, on_rcpt=ANSWERS[name]) for name, on_error in plugins]
    recipients = [*GOOD[:place], "trap@example.com", *GOOD[place:]]

    async def scenario():
        async with MemoryServer(installed, traps=TRAPS, config=CONFIG) as server:
            client = server.connect()
            commands = ["EHLO x", SENDER, *(f"RCPT TO:<{one}>" for one in recipients), "DATA"]
            client.send("".join(f"{one}\r\n" for one in commands).encode())
            replies = [await client.reply() for _ in range(len(commands) + 1)]
            client.send(b"Subject: x\r\n\r\n.\r\n")
            await client.close()
            assert replies[-1].startswith("554")
            assert server.messages == []

    asyncio.run(scenario())


def test_disconnect_by_a_plugin_at_a_trap_ends_the_session():
    played = play(
        OPEN
        + """
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<trap@example.com>
        C: RCPT TO:<one@example.com>
        C: DATA
        S: 250
        S: 550 5.7.1 no [*]
        """,
        [plugin(on_rcpt=lambda *_: deny("no", disconnect=True))],
        traps=TRAPS,
        config=CONFIG,
    )
    assert played.messages == []


def test_data_hook_does_not_run_after_a_hit():
    asked = []
    refused(
        envelope(["trap@example.com"]) + f"C: DATA\nS: {REFUSED}\n",
        [plugin(on_data=lambda tx: asked.append(len(tx.trap_hits)))],
    )
    assert asked == [0]


def test_accept_at_data_does_not_override_a_trap():
    refused(
        envelope(["trap@example.com"]) + f"C: DATA\nS: {REFUSED}\n",
        [plugin(on_data=lambda _tx: accept())],
    )


def test_failed_observer_at_data_does_not_hide_a_trap():
    played = play(
        OPEN + envelope(["trap@example.com"]) + f"C: DATA\nS: {REFUSED}\n",
        [plugin(observe_data=broken)],
        traps=TRAPS,
        config=CONFIG,
    )
    assert played.messages == []


def test_plugins_get_the_hit():
    hits = []
    refused(
        envelope(["trap@example.com"]) + f"C: DATA\nS: {REFUSED}\n",
        [plugin(after_data=lambda tx, outcome: hits.append((tx.trap_hits, outcome)))],
        traps=["", "trap@example.com a note"],
    )
    [hit], outcome = hits[0]
    assert (str(hit.address), hit.entry, hit.note, hit.source, hit.line) == (
        "trap@example.com",
        "trap@example.com",
        "a note",
        "traps",
        2,
    )
    assert (outcome.answer.by, outcome.answer.decision.reason) == ("gatepost", "trap")


@pytest.mark.parametrize("command", ["RSET", "EHLO client.example", "HELO client.example"])
def test_hit_ends_with_its_transaction(command):
    played = play(
        OPEN + envelope(["trap@example.com"]) + f"C: {command}\nS: 250\n" + CLEAN,
        traps=TRAPS,
        config=CONFIG,
    )
    assert len(played.messages) == 1


def test_earlier_transaction_is_not_affected():
    transcript = (
        envelope(["one@example.com"]) + "C: DATA\nS: 354\nC: Subject: clean\nC: .\nS: 250\n"
    )
    played = play(
        OPEN + transcript + envelope(["trap@example.com"]) + f"C: DATA\nS: {REFUSED}\n",
        traps=TRAPS,
        config=CONFIG,
    )
    assert len(played.messages) == 1


@pytest.mark.parametrize(
    "address",
    [
        "TRAP@EXAMPLE.COM",
        "trap+tag@example.com",
        "Trap+Shop+2@Example.Com",
        '"trap"@example.com',
        r'"tr\ap"@example.com',
        "anyone@trapped.example.com",
        "@relay.example:trap@example.com",
    ],
)
def test_all_spellings_of_a_trap_match(address):
    refused(f"C: {SENDER}\nS: 250\nC: RCPT TO:<{address}>\nS: 250\nC: DATA\nS: {REFUSED}\n")


@pytest.mark.parametrize("listed", ["trap@bücher.example", "trap@xn--bcher-kva.example"])
@pytest.mark.parametrize(
    "given_", ["trap@bücher.example", "trap@BÜCHER.example", "Trap@xn--bcher-kva.example"]
)
def test_internationalised_domain_matches_in_both_forms(listed, given_):
    refused(
        f"C: {SENDER} SMTPUTF8\nS: 250\nC: RCPT TO:<{given_}>\nS: 250\nC: DATA\nS: {REFUSED}\n",
        traps=[listed],
        config=config(recipients={"domains": ["example.com", "bücher.example"]}),
    )


@pytest.mark.parametrize(
    ("address", "traps", "known"),
    [
        ("postmaster@example.com", ["postmaster@example.com"], []),
        ("Postmaster", ["postmaster@example.com"], []),
        ("abuse@example.com", ["abuse@example.com", "@example.com"], []),
        ("one@example.com", ["one@example.com"], ["one@example.com"]),
        ("one+tag@example.com", ["@example.com"], ["one@example.com"]),
    ],
)
def test_role_addresses_and_known_recipients_are_never_traps(address, traps, known):
    played = play(
        OPEN
        + f"C: {SENDER}\nS: 250\nC: RCPT TO:<{address}>\nS: 250\nC: DATA\nS: 354\nC: .\nS: 250\n",
        traps=traps,
        config=config(recipients={"domains": ["example.com"], "known": known}),
    )
    assert len(played.messages) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("451 4.7.1 Try later", "451 4.7.1 Try later [*]"),
        ("450 Not now", "450 4.7.1 Not now [*]"),
        ("550 5.7.0 Go away", "550 5.7.0 Go away [*]"),
        ("554 Go away", "554 5.7.1 Go away [*]"),
    ],
)
def test_reply_can_be_configured(text, line):
    refused(
        envelope(["trap@example.com"]) + f"C: DATA\nS: {line}\n",
        config=config(traps={"reply": reply(text)}),
    )


@pytest.mark.parametrize("delay", [0.0, 1.0, 7.5])
def test_refusal_is_delayed_as_configured(delay):
    played = refused(
        envelope(["trap@example.com", *GOOD]) + f"C: DATA\nS: {REFUSED}\n",
        config=config(traps={"delay": delay}),
    )
    assert played.slept == ([delay] if delay else [])


class HeldClock(VirtualClock):
    """A clock whose waits end when the test sets `go_on`."""

    def __init__(self):
        super().__init__()
        self.asleep, self.go_on = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.asleep.set()
        await self.go_on.wait()


async def whole_message(server):
    client = server.connect()
    client.send(f"EHLO x\r\n{SENDER}\r\nRCPT TO:<one@example.com>\r\nDATA\r\n".encode())
    client.send(b"Subject: x\r\n.\r\n")
    replies = [await client.reply() for _ in range(6)]
    await client.close()
    return replies[-1]


def test_other_clients_are_served_during_a_delay():
    async def scenario():
        clock = HeldClock()
        async with MemoryServer(traps=TRAPS, config=CONFIG, clock=clock) as server:
            trapped = server.connect()
            commands = f"EHLO x\r\n{SENDER}\r\nRCPT TO:<trap@example.com>\r\nDATA\r\nNOOP\r\n"
            trapped.send(commands.encode())
            for _ in range(4):
                await trapped.reply()
            waiting = asyncio.ensure_future(trapped.reply())
            await clock.asleep.wait()
            assert (await whole_message(server)).startswith("250")
            assert clock.slept == [1.0]
            assert not waiting.done()
            clock.go_on.set()
            assert (await waiting).startswith("554")
            assert (await trapped.reply()).startswith("250")
            await trapped.close()

    asyncio.run(scenario())


def test_shadow_mode_delivers_and_plugins_get_the_hit():
    seen = []
    played = play(
        OPEN
        + envelope(["one@example.com", "trap@example.com"])
        + "C: DATA\nS: 354\nC: .\nS: 250\n",
        [plugin(on_message=lambda tx: seen.append([hit.entry for hit in tx.trap_hits]))],
        traps=TRAPS,
        config=config(traps={"action": "shadow"}),
    )
    assert [one.recipients for one in played.messages] == [["one@example.com", "trap@example.com"]]
    assert seen == [["trap@example.com"]]
    assert played.slept == []


SPELLINGS = [
    ("@☃.example.com", "x@xn--n3h.example.com"),
    ("x@☃.example.com", "x@XN--N3H.Example.com"),
    ("x@xn--n3h.example.com", "x@☃.example.com"),
    ("x@xn--mller-kva.example", "x@MU\u0308LLER.example"),
    ("x@example.com.", "x@example.com"),
    ("τραπσ@example.com", "ΤΡΑΠΣ@example.com"),
    ("ΤΡΑΠΣ@example.com", "τραπς@example.com"),
    ("τραπς@example.com", "τραπσ@example.com"),
    ("x@[IPv6:2001:db8::1]", "x@[ipv6:2001:DB8:0::1]"),
]


@pytest.mark.parametrize(("entry", "spelling"), SPELLINGS)
def test_every_spelling_of_a_trap_is_a_hit(entry, spelling):
    played = play(
        OPEN
        + f"""
        C: MAIL FROM:<sender@client.example> SMTPUTF8
        S: 250
        C: RCPT TO:<one@example.com>
        S: 250
        C: RCPT TO:<{spelling}>
        S: *
        C: DATA
        S: {REFUSED}
        """,
        traps=[entry],
        config=CONFIG,
    )
    assert played.messages == []


@pytest.mark.parametrize(
    ("domain", "listed", "spelling"),
    [
        ("☃.example", "☃.example", "xn--n3h.example"),
        ("xn--n3h.example", "XN--N3H.example", "☃.example"),
        (".☃.example", "a.☃.example", "a.xn--n3h.example"),
        ("example.org.", "Example.org.", "example.org"),
    ],
)
def test_every_spelling_of_a_domain_is_local_known_and_routed(domain, listed, spelling):
    play(
        OPEN
        + f"""
        C: MAIL FROM:<sender@client.example> SMTPUTF8
        S: 250
        C: RCPT TO:<x@{spelling}>
        S: 250
        """,
        config=config(
            recipients={"domains": [domain], "known": [f"x@{listed}"]},
            route=[RouteConfig(for_=[listed], to="discard:")],
        ),
    )


@pytest.mark.parametrize("tagged", ["trap+a", "trap-a", "trap-a+b", "TRAP+a-b"])
def test_every_separator_starts_a_tag(tagged):
    refused(
        envelope([*GOOD, f"{tagged}@example.com"]) + f"C: DATA\nS: {REFUSED}\n",
        config=config(recipients={"subaddress": "+-"}),
    )
