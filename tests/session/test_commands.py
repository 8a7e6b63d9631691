"""Commands and their replies: recipients, sizes, limits, keywords, decisions of plugins."""

import asyncio

import pytest
from tests.session.dialogue import OPEN, config, plugin

from gatepost.config.schema import RouteConfig, ServerConfig, SmtpConfig
from gatepost.model.decision import accept, defer, deny
from gatepost.testing import MemoryServer, play

MAIL = """
    C: MAIL FROM:<a@client.example>
    S: 250 2.1.0 Sender ok
"""
RCPT = """
    C: RCPT TO:<one@example.com>
    S: 250 2.1.5 Recipient ok
"""
BODY = """
    C: DATA
    S: 354 End data with <CR><LF>.<CR><LF>
    C: Subject: x
    C:
    C: text
    C: .
"""
TAKEN = BODY + "    S: 250 2.0.0 Ok, *\n"


def ask(transcript, plugins=(), **options):
    return play(OPEN + transcript, plugins, **options)


def test_greeting_and_keywords_of_ehlo():
    play(
        """
        S: 220 mx.example.net ESMTP Gatepost
        C: EHLO client.example
        S: 250-mx.example.net
        S: 250-PIPELINING
        S: 250-SIZE 26214400
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-CHUNKING
        S: 250-ENHANCEDSTATUSCODES
        S: 250 LIMITS MAILMAX=1000 RCPTMAX=100
        C: HELO client.example
        S: 250 mx.example.net
        """,
        config=config(server=ServerConfig(hostname="mx.example.net")),
    )


def test_replies_to_commands_outside_a_transaction():
    ask(
        """
        C: NOOP
        S: 250 2.0.0 Ok
        C: VRFY one
        S: 252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery
        C: EXPN list
        S: 502 5.5.1 Command not implemented
        C: HELP
        S: 214 2.0.0 Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT
        C: WIZ
        S: 500 5.5.1 Command not recognised
        C: RSET
        S: 250 2.0.0 Ok
        C: QUIT
        S: 221 2.0.0 Closing connection
        """
    )


@pytest.mark.parametrize(
    ("recipient", "line"),
    [
        ("one@elsewhere.example", "550 5.7.1 Relaying denied: not a domain of this server [*]"),
        (
            "postmaster@elsewhere.example",
            "550 5.7.1 Relaying denied: not a domain of this server [*]",
        ),
        ("one@sub.example.com", "550 5.7.1 Relaying denied: not a domain of this server [*]"),
        ("one@[192.0.2.25]", "550 5.7.1 Relaying denied: not a domain of this server [*]"),
        ("nobody@example.com", "550 5.1.1 No such mailbox [*]"),
        ("one@EXAMPLE.com", "250 2.1.5 Recipient ok"),
        ("ONE+tag@example.com", "250 2.1.5 Recipient ok"),
        ("Postmaster", "250 2.1.5 Recipient ok"),
        ("postmaster", "250 2.1.5 Recipient ok"),
        ("POSTMASTER@example.com", "250 2.1.5 Recipient ok"),
    ],
)
def test_recipient_is_accepted_or_refused(recipient, line):
    ask(
        MAIL + f"C: RCPT TO:<{recipient}>\nS: {line}\n",
        config=config(recipients={"known": ["one@example.com"]}),
    )


@pytest.mark.parametrize(
    "local", ["one%elsewhere.example", "elsewhere.example!one", '"one@elsewhere.example"', "one%"]
)
def test_local_part_with_another_host_is_refused(local):
    """A next hop that trusts this server might relay: Postfix rewrites user%host to user@host."""
    refused = "550 5.7.1 Relaying denied: the local part names another host [*]"
    for known in ([], ["@example.com"], ["one@elsewhere.example"]):
        ask(
            MAIL + f"C: RCPT TO:<{local}@example.com>\nS: {refused}\n",
            config=config(recipients={"known": known}),
        )


def test_all_recipients_are_refused_without_a_domain():
    ask(
        MAIL + "C: RCPT TO:<one@example.com>\nS: 550 5.7.1 Relaying denied*\n",
        config=config(recipients={"domains": []}),
    )


def test_plugin_cannot_open_a_relay_or_refuse_postmaster():
    accepting = plugin(on_rcpt=lambda *_: accept())
    ask(MAIL + "C: RCPT TO:<one@elsewhere.example>\nS: 550 5.7.1 Relaying denied*\n", [accepting])
    refusing = plugin(on_rcpt=lambda *_: deny("no"))
    ask(MAIL + "C: RCPT TO:<postmaster@example.com>\nS: 250\n", [refusing])


def test_domain_without_a_route_is_deferred():
    ask(
        MAIL + "C: RCPT TO:<one@example.com>\nS: 451 4.3.5 No route for this recipient [*]\n",
        config=config(route=[RouteConfig(for_=["other.example"], to="discard:")]),
    )


def test_recipients_beyond_the_limit_are_deferred():
    played = ask(
        MAIL
        + RCPT
        + RCPT
        + "C: RCPT TO:<x@example.com>\nS: 452 4.5.3 Too many recipients [*]\n"
        + TAKEN,
        config=config(limits={"recipients": 2}),
    )
    assert [len(one.recipients) for one in played.messages] == [2]


def test_size_is_limited_by_declaration_and_by_content():
    played = ask(
        """
        C: MAIL FROM:<a@client.example> SIZE=21
        S: 552 5.3.4 Message size exceeds the limit [*]
        C: MAIL FROM:<a@client.example> SIZE=20
        S: 250
        C: RCPT TO:<one@example.com>
        S: 250
        C: DATA
        S: 354
        C: 12345678901234567890
        C: .
        S: 552 5.3.4 Message size exceeds the limit
        C: DATA
        S: 503
        """,
        config=config(limits={"message_size": 20}),
    )
    assert played.messages == []


def test_transactions_beyond_the_limit_close_the_connection():
    again = "C: RSET\nS: 250\n"
    played = ask(
        MAIL
        + again
        + MAIL
        + again
        + """
        C: MAIL FROM:<a@client.example>
        C: NOOP
        S: 421 4.7.0 Too many messages on this connection [*]
        """,
        config=config(limits={"transactions": 2}),
    )
    assert played.replies[-1].startswith("421")


def closed_after(commands, replies, **limits):
    """Send commands; return the replies after EHLO. The last one must close the connection."""

    async def scenario():
        async with MemoryServer(config=config(limits=limits)) as server:
            client = server.connect()
            client.send("".join(f"{one}\r\n" for one in ["EHLO x", *commands]).encode())
            found = [await client.reply() for _ in range(replies + 3)]
            assert client.closed
            await client.close()
            return [one for one in found if one][2:]

    return asyncio.run(scenario())


def test_too_many_errors_close_the_connection():
    found = closed_after(["BAD"] * 9, 9, errors=3)
    assert [one[:3] for one in found] == ["500", "500", "421"]
    assert found[-1].startswith("421 4.7.0 Too many errors [")


def test_refused_chunk_counts_as_one_error():
    commands = ["MAIL FROM:<>", "RCPT TO:<one@example.com>", "BDAT 0", "NOOP", "BAD", "BAD"]
    found = closed_after(commands, 6, errors=3)
    assert [one[:3] for one in found] == ["250", "250", "551", "250", "500", "421"]


def test_chunk_refused_by_a_plugin_counts_as_one_error():
    ask(
        MAIL
        + RCPT
        + """
        C: BDAT 0 LAST
        S: 554 5.7.1 no [*]
        C: BAD
        S: 500
        C: BAD
        S: 421 4.7.0 Too many errors
        """,
        [plugin(on_data=lambda _tx: deny("no"))],
        config=config(limits={"errors": 3}),
    )


def test_idle_commands_beyond_the_limit_close_the_connection():
    found = closed_after(["NOOP", "RSET", "HELP", "NOOP"], 4, junk_commands=3)
    assert [one[:3] for one in found] == ["250", "250", "421"]
    assert found[-1].startswith("421 4.7.0 Too many commands without a message [")


def test_accepted_message_resets_the_counts():
    ask(
        "C: BAD\nS: 500\nC: BAD\nS: 500\n"
        + MAIL
        + RCPT
        + TAKEN
        + "C: BAD\nS: 500\nC: BAD\nS: 500\n"
        "C: BAD\nS: 421\n",
        config=config(limits={"errors": 3}),
    )


def test_plugins_edit_the_keywords():
    def edit(_session, keywords):
        keywords.remove("CHUNKING")
        keywords[keywords.index("PIPELINING")] = "X-MINE\r\n250 FORGED"

    play(
        """
        S: 220
        C: EHLO client.example
        S: 250-localhost
        S: 250-X-MINE
        S: 250-250 FORGED
        S: 250-SIZE 26214400
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250 LIMITS MAILMAX=1000 RCPTMAX=100
        C: EHLO client.example
        S: 250
        """,
        [plugin(on_ehlo=edit)],
    )


def test_second_ehlo_ends_the_transaction_before_its_hook():
    events = []

    async def recording(_tx):
        await asyncio.sleep(0)
        events.append("reset")

    ask(
        MAIL + "C: EHLO client.example\nS: 250\nC: RCPT TO:<one@example.com>\nS: 503\n",
        [plugin(on_reset=recording, on_ehlo=lambda *_: events.append("ehlo"))],
    )
    assert events == ["ehlo", "reset", "ehlo"]


HOOKS = {
    "connect": ("", "554 5.7.1"),
    "helo": ("S: 220\nC: EHLO x\n", "550 5.7.1"),
    "ehlo": ("S: 220\nC: EHLO x\n", "550 5.7.1"),
    "mail": (OPEN + "C: MAIL FROM:<>\n", "550 5.7.1"),
    "rcpt": (OPEN + MAIL + "C: RCPT TO:<one@example.com>\n", "550 5.7.1"),
    "data": (OPEN + MAIL + RCPT + "C: DATA\n", "554 5.7.1"),
    "headers": (OPEN + MAIL + RCPT + BODY, "554 5.7.1"),
    "message": (OPEN + MAIL + RCPT + BODY, "554 5.7.1"),
    "deliver": (OPEN + MAIL + RCPT + BODY, "554 5.7.1"),
    "unknown_command": (OPEN + "C: WIZ x\n", "500 5.5.1"),
    "command": (OPEN + "C: XTEST x\n", "500 5.5.1"),
    "vrfy": (OPEN + "C: VRFY x\n", "550 5.7.1"),
    "help": (OPEN + "C: HELP x\n", "500 5.5.1"),
    "noop": (OPEN + "C: NOOP\n", "500 5.5.1"),
    "quit": (OPEN + "C: QUIT\n", "500 5.5.1"),
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("waits", [False, True])
def test_every_hook_can_refuse_with_a_reference(hook, waits):
    async def later(*_):
        await asyncio.sleep(0)
        return deny("no", reason="test")

    method = later if waits else lambda *_: deny("no", reason="test")
    transcript, codes = HOOKS[hook]
    played = play(transcript + f"S: {codes} no [*]\n", [plugin(**{f"on_{hook}": method})])
    assert played.messages == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_can_disconnect_and_delay(hook):
    transcript, codes = HOOKS[hook]

    async def scenario():
        refusing = plugin(**{f"on_{hook}": lambda *_: deny("no", disconnect=True, delay=2.5)})
        async with MemoryServer([refusing]) as server:
            client = server.connect()
            for line in (one.strip() for one in transcript.splitlines()):
                if line.startswith("C:"):
                    client.send(line[3:].encode() + b"\r\n")
                elif line:
                    await client.reply()
            last = await client.reply()
            assert last.startswith(f"{codes} no [")
            assert client.closed
            assert server.setup.clock.slept == [2.5]
            await client.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("hook", HOOKS)
def test_failed_plugin_defers_at_every_hook(hook):
    transcript, _ = HOOKS[hook]
    for stage in ("observe", "on"):
        play(
            transcript + "S: 451 4.3.0 Temporary local problem [*]\n",
            [plugin(**{f"{stage}_{hook}": lambda *_: 1 / 0})],
        )


@pytest.mark.parametrize(
    ("hook", "line"),
    [
        ("noop", "250 2.0.0 text"),
        ("vrfy", "250 2.0.0 text"),
        ("help", "214 2.0.0 text"),
        ("quit", "221 2.0.0 text"),
        ("unknown_command", "250 2.0.0 text"),
    ],
)
def test_accept_may_set_the_text(hook, line):
    transcript, _ = HOOKS[hook]
    play(transcript + f"S: {line}\n", [plugin(**{f"on_{hook}": lambda *_: accept("text")})])


def test_deferred_connection_is_closed_with_421():
    play(
        "S: 421 4.7.0 Refused by local policy for now, try again later [*]\n",
        [plugin(on_connect=lambda _session: defer())],
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\r\n250 forged", ["550-5.7.1 a", "550 5.7.1 250 forged [*]"]),
        ("a\rb\nc", ["550-5.7.1 a", "550-5.7.1 b", "550 5.7.1 c [*]"]),
        ("nul\0 bell\7 tab\t", ["550 5.7.1 nul? bell? tab? [*]"]),
        ("grüße \u2028 x", ["550-5.7.1 gr??e*", "550 5.7.1  x [*]"]),
        ("", ["550 5.7.1  [*]"]),
        ("x" * 2000, ["550 5.7.1 " + "x" * 450 + "*[*]"]),
    ],
)
def test_text_of_a_plugin_cannot_forge_a_reply(text, lines):
    expected = "".join(f"S: {line}\n" for line in lines)
    played = ask(
        MAIL + f"C: RCPT TO:<one@example.com>\n{expected}C: NOOP\nS: 250 2.0.0 Ok\n",
        [plugin(on_rcpt=lambda *_: deny(text))],
    )
    assert all(len(line) <= 510 for one in played.replies for line in one.split("\n"))


def test_reference_is_the_id_of_the_transaction_or_session():
    ids = {}

    def note(tx, *_):
        ids["tx"], ids["session"] = tx.id, tx.session.id

    played = ask(
        MAIL + "C: RCPT TO:<one@elsewhere.example>\nS: 550\nC: RSET\nS: 250\nC: NOOP\nS: 500\n",
        [plugin(observe_rcpt=note, on_noop=lambda _s, _text: deny())],
    )
    assert played.replies[3].endswith(f"[{ids['tx']}]")
    assert played.replies[5].endswith(f"[{ids['session']}]")
    assert ids["tx"] == f"{ids['session']}.1"


def test_notes_last_as_long_as_their_session_or_transaction():
    seen = []

    def count(tx, _rcpt):
        for notes in (tx.session.notes, tx.notes):
            notes["n"] = notes.get("n", 0) + 1
        seen.append((tx.session.notes["n"], tx.notes["n"]))

    one = plugin(observe_rcpt=count)
    ask(MAIL + RCPT + RCPT + "C: RSET\nS: 250\n" + MAIL + RCPT, [one])
    assert seen == [(1, 1), (2, 2), (3, 1)]
    ask(MAIL + RCPT, [one])
    assert seen[3] == (1, 1)


def test_refused_helo_does_not_count():
    names = []
    play(
        """
        S: 220
        C: EHLO bad.example
        S: 550 5.7.1 no [*]
        C: MAIL FROM:<>
        S: 503 5.5.1 Bad sequence of commands: EHLO or HELO first
        C: HELO good.example
        S: 250
        C: MAIL FROM:<>
        S: 250
        """,
        [
            plugin(
                on_helo=lambda _s, name: deny("no") if name == "bad.example" else None,
                on_mail=lambda tx, _sender: names.append((tx.session.helo, tx.session.extended)),
            )
        ],
    )
    assert names == [("good.example", False)]


def test_hooks_can_distinguish_helo_from_ehlo():
    seen = []
    play(
        """
        S: 220
        C: HELO client.example
        S: 250
        C: EHLO client.example
        S: 250
        C: HELO bad.example
        S: 550
        C: MAIL FROM:<>
        S: 250
        C: EHLO bad.example
        S: 550
        C: HELO client.example
        S: 250
        C: EHLO bad.example
        S: 550
        C: MAIL FROM:<>
        S: 250
        """,
        [
            plugin(
                observe_helo=lambda session, _name: seen.append(session.extended),
                on_helo=lambda _s, name: deny() if name == "bad.example" else None,
                on_mail=lambda tx, _sender: seen.append(("mail", tx.session.extended)),
            )
        ],
    )
    mail = [("mail", True), ("mail", False)]
    assert seen == [False, True, False, mail[0], True, False, True, mail[1]]


def test_the_argument_of_noop_reaches_plugins():
    seen = []
    ask(
        "C: NOOP\nS: 250\nC: NOOP some text\nS: 250\n",
        [plugin(on_noop=lambda _session, text: seen.append(text))],
    )
    assert seen == ["", "some text"]


def test_refused_sender_opens_no_transaction():
    ask(
        """
        C: MAIL FROM:<bad@client.example>
        C: RCPT TO:<one@example.com>
        S: 550 5.7.1 no [*]
        S: 503 5.5.1 Bad sequence of commands: MAIL first
        """
        + MAIL,
        [plugin(on_mail=lambda _tx, sender: deny("no") if sender.local == "bad" else None)],
    )


def test_strict_paths_can_be_configured():
    for path in (" a@client.example", "<root@my_host.example>", "<a..b@client.example>"):
        ask(f"C: MAIL FROM:{path}\nS: 250\n")
        strict = config(smtp=SmtpConfig(strict_paths=True))
        ask(f"C: MAIL FROM:{path}\nS: 501 5.1.7*\n", config=strict)


def test_a_final_dot_is_not_part_of_the_recipient():
    ask(
        """
        C: MAIL FROM:<a@client.example>
        C: RCPT TO:<alice@example.com.>
        C: RCPT TO:<bob@example.com.>
        S: 250
        S: 250
        S: 550 5.1.1*
        """,
        config=config(recipients={"known": ["alice@example.com"]}),
    )
