"""When a message with a trap is refused: at DATA, after the content, or not at all (`verdict`)."""

import pytest
from tests.session.dialogue import OPEN, REFUSED, config, plugin

from gatepost.config.schema import SmtpConfig
from gatepost.model.decision import deny
from gatepost.testing import play

MAIL = "C: MAIL FROM:<sender@client.example>\nS: 250\n"
TRAPS = ["hidden-page@example.com", "old-page@example.com", "left-2019@example.com class=recycled"]
CONTENT = "C: DATA\nS: 354\nC: Subject: spam\nC:\nC: text\nC: .\n"


def rcpt(*addresses):
    return "".join(f"C: RCPT TO:<{one}@example.com>\nS: 250\n" for one in addresses)


def test_at_the_end_the_content_is_read_and_the_reply_is_the_same():
    played = play(
        OPEN + MAIL + rcpt("one", "hidden-page") + CONTENT + f"S: {REFUSED}\n"
        "C: MAIL FROM:<a@client.example>\nS: 250\n",
        traps=TRAPS,
        config=config(traps={"verdict": "end"}),
    )
    assert (played.messages, played.slept) == ([], [1.0])


def test_at_the_end_chunks_are_read():
    played = play(
        OPEN
        + MAIL
        + rcpt("one", "hidden-page")
        + f"C: BDAT 6\nC: a: b\nS: 250\nC: BDAT 8 LAST\nC:\nC: text\nS: {REFUSED}\n",
        traps=TRAPS,
        config=config(traps={"verdict": "end"}),
    )
    assert played.messages == []


def test_plugins_see_the_content_of_a_message_that_is_refused_after_it():
    seen = []
    play(
        OPEN + MAIL + rcpt("hidden-page") + CONTENT + f"S: {REFUSED}\n",
        [
            plugin(
                observe_message=lambda tx: seen.append(tx.message.headers().get("Subject")),
                on_message=lambda _tx: seen.append("asked"),
                after_message=lambda _tx, outcome: seen.append(outcome.answer.decision.reason),
            )
        ],
        traps=TRAPS,
        config=config(traps={"verdict": "end"}),
    )
    assert seen == ["spam", "trap"]


def test_another_refusal_comes_first_and_the_hit_is_recorded():
    hits = []
    play(
        OPEN + MAIL + rcpt("hidden-page") + CONTENT + "S: 554 5.7.1 no [*]\n",
        [
            plugin(
                on_headers=lambda *_: deny("no"),
                on_reset=lambda tx: hits.extend(one.entry for one in tx.trap_hits),
            )
        ],
        traps=TRAPS,
        config=config(traps={"verdict": "end"}),
    )
    assert hits == ["hidden-page@example.com"]


def held(lines, *, share=1.0, plugins=(), end="250", **traps):
    """Play a message with `verdict = "hold"`; return the reasons of those that are held."""
    made = config(traps={"verdict": "hold", "hold_share": share, **traps})
    played = play(OPEN + MAIL + lines + CONTENT + f"S: {end}\n", plugins, traps=TRAPS, config=made)
    return [one.quarantined for one in played.messages]


def test_a_message_to_traps_alone_is_accepted_and_held():
    asked = []
    taker = plugin(on_deliver=lambda tx: asked.append(tx.id))
    assert held(rcpt("hidden-page", "old-page"), plugins=[taker]) == ["trap"]
    assert asked == []


def test_no_share_means_that_nothing_is_held():
    assert held(rcpt("hidden-page"), share=0.0, end=REFUSED) == []


@pytest.mark.parametrize("others", [["one"], ["postmaster"], ["hidden-page", "two"]])
def test_a_message_to_a_user_is_never_held(others):
    assert held(rcpt("hidden-page", *others), end=REFUSED) == []


def test_a_message_whose_trap_a_plugin_has_replaced_by_a_user_is_never_held():
    mover = plugin(on_rcpt=lambda tx, one: tx.replace_recipient(one, ["one@example.com"]) and None)
    assert held(rcpt("hidden-page"), plugins=[mover], end=REFUSED) == []


def test_a_message_that_a_plugin_copies_to_a_user_is_never_held():
    copier = plugin(on_data=lambda tx: tx.add_recipient("journal@example.com") and None)
    assert held(rcpt("hidden-page"), plugins=[copier], end=REFUSED) == []


def test_a_message_of_an_acquainted_sender_is_never_held():
    friend = plugin(on_mail=lambda tx, _: tx.results.add("standing", "acquainted") and None)
    assert held(rcpt("hidden-page"), plugins=[friend], end=REFUSED) == []


def test_a_plugin_can_still_refuse_a_message_that_would_be_held():
    refuser = plugin(on_message=lambda _: deny("no"))
    assert held(rcpt("hidden-page"), plugins=[refuser], end="554 5.7.1 no [*]") == []


def test_the_next_message_of_a_connection_is_not_held():
    play(
        OPEN
        + MAIL
        + rcpt("hidden-page")
        + CONTENT
        + "S: 250\n"
        + MAIL
        + rcpt("one", "hidden-page")
        + CONTENT
        + f"S: {REFUSED}\n",
        traps=TRAPS,
        config=config(traps={"verdict": "hold", "hold_share": 1.0}),
    )


def test_shadow_mode_neither_refuses_nor_holds():
    assert held(rcpt("hidden-page"), action="shadow") == [""]


# One delay for all refusals


REFUSERS = {
    "trap at DATA": ({}, [], True),
    "trap at the end": ({"verdict": "end"}, [], True),
    "plugin at DATA": ({}, [plugin(on_data=lambda _: deny("no", delay=9))], False),
    "plugin at the headers": ({}, [plugin(on_headers=lambda *_: deny("no"))], False),
    "plugin at the end": ({}, [plugin(on_message=lambda _: deny("no"))], False),
}


@pytest.mark.parametrize("name", REFUSERS)
def test_all_refusals_of_a_message_have_the_same_delay(name):
    traps, plugins, to_trap = REFUSERS[name]
    smtp = SmtpConfig(refusal_delay=3.0, unauthorised_pipelining="tolerate")
    end = "C: DATA\nS: 554\n" if "DATA" in name else CONTENT + "S: 554\n"
    played = play(
        OPEN + MAIL + rcpt("hidden-page" if to_trap else "one") + end,
        plugins,
        traps=TRAPS,
        config=config(traps=traps, smtp=smtp),
    )
    assert played.slept == [3.0]


def test_an_accepted_message_and_a_refused_recipient_have_no_delay():
    smtp = SmtpConfig(refusal_delay=3.0, unauthorised_pipelining="tolerate")
    played = play(
        OPEN
        + MAIL
        + "C: RCPT TO:<a@elsewhere.example>\nS: 550\n"
        + rcpt("one")
        + CONTENT
        + "S: 250\n",
        config=config(smtp=smtp),
    )
    assert played.slept == []


def test_by_default_each_refusal_has_a_delay_of_its_own():
    played = play(
        OPEN + MAIL + rcpt("one") + "C: DATA\nS: 554\n",
        [plugin(on_data=lambda _: deny("no", delay=9))],
        config=config(),
    )
    assert played.slept == [9]
