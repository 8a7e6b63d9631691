"""The answer to RCPT for a trap that is no user, and the end of its message."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.model.decision import accept, defer, deny
from gatepost.model.lookup import local, unknown
from gatepost.testing import MemoryServer, play

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
USERS = ["one@example.com", "two@example.com"]
TRAP = "hidden-page@example.com"
OURS = {"domains": ["example.com"], "known": USERS}
UNKNOWN = "550 5.1.1 No such mailbox [*]"


def known(**traps):
    return config(recipients=OURS, traps=traps)


def rcpt(address, reply):
    return f"C: RCPT TO:<{address}>\nS: {reply}\n"


def test_a_trap_that_is_no_user_is_answered_as_a_user_is():
    played = play(
        OPEN
        + MAIL
        + rcpt(USERS[0], "250 2.1.5 Recipient ok")
        + rcpt(TRAP, "250 2.1.5 Recipient ok")
        + rcpt("nobody@example.com", UNKNOWN)
        + f"C: DATA\nS: {REFUSED}\n",
        traps=[TRAP],
        config=known(),
    )
    assert played.messages == []


def test_a_message_to_a_trap_alone_reaches_the_rule():
    played = play(
        OPEN + MAIL + rcpt(TRAP, 250) + f"C: DATA\nS: {REFUSED}\n", traps=[TRAP], config=known()
    )
    assert (played.messages, played.slept) == ([], [1.0])


def test_as_unknown_is_the_answer_to_other_unknown_recipients():
    play(
        OPEN + MAIL + rcpt(TRAP, UNKNOWN) + "C: DATA\nS: 554 5.5.1 No valid recipients\n",
        traps=[TRAP],
        config=known(rcpt="as-unknown"),
    )


def test_in_shadow_mode_a_trap_that_is_no_user_is_unknown():
    play(OPEN + MAIL + rcpt(TRAP, UNKNOWN), traps=[TRAP], config=known(action="shadow"))


def test_a_trap_of_another_domain_is_no_reason_to_relay():
    play(
        OPEN + MAIL + rcpt("trap@elsewhere.example", "550 5.7.1 Relaying denied*"),
        traps=["trap@elsewhere.example"],
        config=known(),
    )


def test_a_trap_beyond_the_limit_of_recipients_is_refused_as_others_are():
    play(
        OPEN + MAIL + rcpt(USERS[0], 250) + rcpt(TRAP, "452 4.5.3 Too many recipients [*]"),
        traps=[TRAP],
        config=config(recipients=OURS, limits={"recipients": 1}),
    )


@pytest.mark.parametrize("cell", ["refuse all", "refuse all after the content"])
def test_a_trusted_sender_does_not_learn_that_a_trap_exists(cell):
    made = known(trusted=["192.0.2.0/24"], table={"pristine": {"trusted": cell}})
    play(OPEN + MAIL + rcpt(TRAP, UNKNOWN), traps=[TRAP], config=made)


def test_a_trap_that_refuses_only_itself_is_unknown():
    play(OPEN + MAIL + rcpt(TRAP, UNKNOWN), traps=[f"{TRAP} class=recycled"], config=known())


def test_plugins_are_asked_about_a_trap_as_about_a_user():
    asked = []

    def answer(_tx, recipient):
        asked.append(recipient.user)
        return defer("greylisted")

    play(
        OPEN + MAIL + rcpt(USERS[0], 450) + rcpt(TRAP, 450) + rcpt("nobody@example.com", UNKNOWN),
        [plugin(on_rcpt=answer)],
        traps=[TRAP],
        config=known(),
    )
    assert asked == ["one", "hidden-page"]


LOOKUPS = {"unknown": lambda *_: unknown(), "unknown, later": None, "no opinion": lambda *_: None}


async def later(*_args):
    await asyncio.sleep(0)
    return unknown()


@pytest.mark.parametrize(("name", "code"), [("unknown", 250), ("unknown, later", 250)])
def test_a_trap_that_a_look_up_does_not_have_is_answered_as_a_user_is(name, code):
    looked_up = plugin(on_lookup=LOOKUPS[name] or later)
    traps = [TRAP, "left-2019@example.com class=recycled"]
    play(
        OPEN
        + MAIL
        + rcpt(TRAP, code)
        + rcpt("left-2019@example.com", UNKNOWN)
        + rcpt("nobody@example.com", UNKNOWN)
        + f"C: DATA\nS: {REFUSED}\n",
        [looked_up],
        traps=traps,
        config=config(),
    )


def test_a_failed_look_up_is_the_answer_about_a_trap_too():
    def broken(*_args):
        raise RuntimeError

    play(OPEN + MAIL + rcpt(TRAP, 451), [plugin(on_lookup=broken)], traps=[TRAP], config=known())


def test_a_recycled_trap_that_a_look_up_finds_is_refused():
    play(
        OPEN + MAIL + rcpt(TRAP, UNKNOWN),
        [plugin(on_lookup=lambda *_: local())],
        traps=[f"{TRAP} class=recycled"],
        config=known(),
    )


@pytest.mark.parametrize("verdict", ["data", "end", "hold"])
@pytest.mark.parametrize("hook", ["on_data", "on_headers", "on_message", "on_deliver"])
def test_no_plugin_gets_a_message_delivered_to_a_trap(verdict, hook):
    played = play(
        OPEN
        + MAIL
        + rcpt(USERS[0], 250)
        + rcpt(TRAP, 250)
        + (
            "C: DATA\nS: 554" if verdict == "data" else "C: DATA\nS: 354\nC: a: b\nC:\nC: .\nS: 554"
        ),
        [plugin(**{hook: lambda *_: accept()})],
        traps=[TRAP],
        config=known(verdict=verdict, hold_share=1.0),
    )
    assert played.messages == []


def move_to_a_user(tx, *_args):
    for one in tx.recipients:
        if one.user == "hidden-page":
            tx.replace_recipient(one, ["one@example.com"])


def test_a_held_message_is_refused_if_a_plugin_gives_it_to_a_user():
    played = play(
        OPEN + MAIL + rcpt(TRAP, 250) + "C: DATA\nS: 354\nC: a: b\nC:\nC: .\nS: 554",
        [plugin(on_message=move_to_a_user)],
        traps=[TRAP],
        config=known(verdict="hold", hold_share=1.0),
    )
    assert played.messages == []


_ANSWERS = {
    "none": lambda *_: None,
    "accept": lambda *_: accept(),
    "deny": lambda *_: deny("no"),
    "defer": lambda *_: defer("later"),
    "raise": lambda *_: 1 / 0,
    "wrong": lambda *_: True,
    "move": move_to_a_user,
}
_METHODS = ["on_rcpt", "observe_rcpt", "after_rcpt", "on_data", "on_headers", "on_message"]
_PLUGINS = st.lists(
    st.tuples(
        st.sampled_from(_METHODS),
        st.sampled_from(sorted(_ANSWERS)),
        st.sampled_from(["defer", "skip", "deny"]),
    ),
    max_size=5,
)


@given(
    plugins=_PLUGINS,
    verdict=st.sampled_from(["data", "end", "hold"]),
    rcpt_answer=st.sampled_from(["as-user", "as-unknown"]),
    uses_bdat=st.booleans(),
    others=st.lists(st.sampled_from([*USERS, "nobody@example.com"]), max_size=3),
    place=st.integers(0, 3),
    hold_share=st.sampled_from([0.0, 1.0]),
)
def test_no_plugin_and_no_setting_delivers_a_message_with_a_trap(
    *, plugins, verdict, rcpt_answer, uses_bdat, others, place, hold_share
):
    """With any plugins in any order the hit stands, and only a message to traps alone is held."""
    installed = [
        plugin(on_error, f"p{at}", **{method: _ANSWERS[name]})
        for at, (method, name, on_error) in enumerate(plugins)
    ]
    recipients = [*others[:place], TRAP, *others[place:]]
    ended = []

    async def scenario():
        made = known(verdict=verdict, rcpt=rcpt_answer, delay=0.0, hold_share=hold_share)
        server = MemoryServer(installed, traps=[TRAP], config=made, records=ended.append)
        async with server:
            client = server.connect()
            commands = ["EHLO x", "MAIL FROM:<a@client.example>"]
            commands += [f"RCPT TO:<{one}>" for one in recipients]
            client.send("".join(f"{one}\r\n" for one in commands).encode())
            for _ in range(len(commands) + 1):
                await client.reply()
            body = b"a: b\r\n\r\ntext\r\n"
            client.send(b"BDAT 14 LAST\r\n" + body if uses_bdat else b"DATA\r\n")
            if (await client.reply()).startswith("354"):
                client.send(body + b".\r\n")
                await client.reply()
            await client.close()
            assert all(one.quarantined == "trap" for one in server.messages)
            assert {to for one in server.messages for to in one.recipients} <= {TRAP}

    asyncio.run(scenario())
    traps = [trap.address for one in ended for trap in getattr(one, "traps", ())]
    assert TRAP in traps


@pytest.mark.parametrize("verdict", ["data", "end"])
def test_replies_to_a_trap_and_a_user_have_the_same_text_in_every_verdict(verdict):
    end = "C: DATA\nS: 554" if verdict == "data" else "C: DATA\nS: 354\nC: a: b\nC: .\nS: 554"
    replies = play(
        OPEN + MAIL + rcpt(TRAP, 250) + rcpt(USERS[0], 250) + end,
        traps=[TRAP],
        config=known(verdict=verdict),
    ).replies
    assert not any("hidden" in one or "trap" in one.lower() for one in replies)
    assert replies[3] == replies[4]
