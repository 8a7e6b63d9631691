"""Messages that plugins hold with the decision `hold()`."""

import msgspec
import pytest
from tests.session.dialogue import plugin
from tests.session.test_recipients import ONE, TWO, changes, talk

from gatepost import deny, hold
from gatepost.model.decision import Decision, Verdict
from gatepost.testing import play

OF_SESSION = {"on_connect": 1, "on_helo": 2, "on_ehlo": 2}
OF_MESSAGE = {
    "on_mail": 2,
    "on_rcpt": 2,
    "on_data": 1,
    "on_headers": 2,
    "on_message": 1,
}


def holds(method, arguments, reason="odd"):
    return {method: [None, lambda _: hold(reason), lambda *_: hold(reason)][arguments]}


@pytest.mark.parametrize(("protocol", "end"), [("smtp", ["250"]), ("lmtp", ["250", "250"])])
@pytest.mark.parametrize(("method", "arguments"), [*OF_SESSION.items(), *OF_MESSAGE.items()])
def test_a_message_is_held_from_every_hook_on(method, arguments, protocol, end):
    played, lines = talk(protocol, [ONE, TWO], end, plugin(**holds(method, arguments)))
    [message] = played.messages
    assert (message.quarantined, message.recipients) == ("odd", [ONE, TWO])
    assert changes(lines) == [["held odd (test)"]]


def test_later_plugins_decide_about_a_message_that_is_held():
    asked = []
    later = plugin(name="later", on_message=lambda _tx: asked.append(1) or deny("no"))
    played, _ = talk("smtp", [ONE], ["554 5.7.1 no [*]"], plugin(**holds("on_message", 1)), later)
    assert (asked, played.messages) == ([1], [])


def test_the_first_reason_stays():
    first, second = plugin(**holds("on_mail", 2, "one")), plugin(**holds("on_message", 1, "two"))
    played, lines = talk("smtp", [ONE], ["250"], first, second)
    assert played.messages[0].quarantined == "one"
    assert changes(lines) == [["held one (test)"]]


def test_a_plugin_that_waits_can_hold():
    async def on_message(_tx):
        return hold("odd")

    played, _ = talk("smtp", [ONE], ["250"], plugin(on_message=on_message))
    assert played.messages[0].quarantined == "odd"


def test_a_session_holds_every_message_and_a_transaction_only_its_own():
    dialogue = """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a@client.example>
        S: 250
        C: RCPT TO:<one@example.com>
        S: 250
        C: DATA
        S: 354
        C: one
        C: .
        S: 250
        C: MAIL FROM:<b@client.example>
        S: 250
        C: RCPT TO:<one@example.com>
        S: 250
        C: DATA
        S: 354
        C: two
        C: .
        S: 250
    """
    of_session = play(dialogue, [plugin(**holds("on_connect", 1))])
    assert [one.quarantined for one in of_session.messages] == ["odd", "odd"]

    def on_mail(_tx, sender):
        return hold("odd") if sender.local == "a" else None

    of_message = play(dialogue, [plugin(on_mail=on_mail)])
    assert [one.quarantined for one in of_message.messages] == ["odd", ""]


@pytest.mark.parametrize(("method", "arguments"), [("on_connect", 1), ("on_message", 1)])
def test_a_plugin_in_shadow_mode_holds_nothing(method, arguments):
    shadow = msgspec.structs.replace(plugin(**holds(method, arguments)), shadow=True)
    played, lines = talk("smtp", [ONE], ["250"], shadow)
    assert played.messages[0].quarantined == ""
    assert "hold" in str([one for one in lines if "would" in str(one)])


@pytest.mark.parametrize(
    "decision",
    [
        Decision(Verdict.HOLD),
        Decision(Verdict.HOLD, reason="two\nlines"),
    ],
)
def test_a_wrong_hold_is_a_failure_of_the_plugin(decision):
    talk(
        "smtp",
        [ONE],
        ["451 4.3.0 Temporary local problem [*]"],
        plugin(on_message=lambda _tx: decision),
    )


def test_a_hook_without_a_message_cannot_hold():
    dialogue = """
        S: 220
        C: EHLO client.example
        S: 250
        C: NOOP
        S: 451 4.3.0 Temporary local problem [*]
    """
    play(dialogue, [plugin(on_noop=lambda _session, _text: hold("odd"))])


@pytest.mark.parametrize("reason", ["", "two\nlines", "\x1b"])
def test_a_reason_is_one_line(reason):
    with pytest.raises(ValueError, match="one line"):
        hold(reason)


def test_only_refusals_refuse():
    assert [one.refuses for one in (hold("odd"), deny())] == [False, True]
