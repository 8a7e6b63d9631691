"""Dialogues: what `gatepost allow` lifts in a dialogue, and what it does not."""

import asyncio

import msgspec
import pytest
from tests.session.dialogue import REFUSED, config, plugin

from gatepost.allow.entry import Entry
from gatepost.allow.file import put
from gatepost.config.schema import ServerConfig
from gatepost.model.decision import accept, defer, deny, hold
from gatepost.plugin.base import Installed
from gatepost.server.memory import MemoryServer
from gatepost.testing import play
from gatepost.testing.dialogue import perform

CLIENT, START = "192.0.2.0/24", 1_704_067_200.0
DAY = 86400.0

RELAY = "550 5.7.1 Relaying denied: not a domain of this server [*]"

SESSION = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<kim@example.org>
    S: {mail}
    C: RCPT TO:<{to}>
    S: {rcpt}
    C: DATA
    S: {data}
"""
CONTENT = """
    C: Subject: hi
    C:
    C: hello
    C: .
    S: {end}
"""
OPINIONS = {
    "on_connect": lambda _s: deny("no", reason="listed"),
    "on_helo": lambda _s, _n: defer("later", reason="name"),
    "on_mail": lambda _t, _s: deny("no", reason="sender"),
    "on_rcpt": lambda _t, _r: defer("later", reason="grey"),
    "on_data": lambda _t: hold("odd"),
    "on_headers": lambda _t, _h: deny("no", reason="field"),
    "on_message": lambda _t: deny("no", reason="spam", disconnect=True, delay=9.0),
}


def served(tmp_path, *names, traps=False, until=START + DAY, peer="192.0.2.1", **tables):
    """Return the arguments of a dialogue in which these subjects are allowed."""
    for name in names:
        put(tmp_path, Entry(name, until, START, "alice", "ticket 12", traps), pending=False)
    made = config(**tables)
    server = ServerConfig(hostname="mx.example.com", data_dir=str(tmp_path))
    return {"config": msgspec.structs.replace(made, server=server), "peer": (peer, 5)}


def dialogue(to="alice@example.com", mail="250", rcpt="250", data="354", end="250"):
    text = SESSION.format(to=to, mail=mail, rcpt=rcpt, data=data)
    return text + (CONTENT.format(end=end) if data == "354" else "")


def test_the_opinions_of_plugins_have_no_effect_on_allowed_mail(tmp_path):
    played = play(dialogue(), [plugin(**OPINIONS)], **served(tmp_path, CLIENT))
    [message] = played.messages
    assert message.quarantined == ""
    assert played.slept == []


@pytest.mark.parametrize("method", OPINIONS)
def test_without_an_entry_each_of_them_has_an_effect(tmp_path, method):
    failed = play_or_none(tmp_path, method)
    assert failed is None or [one.quarantined for one in failed.messages] == ["odd"]


def play_or_none(tmp_path, method):
    try:
        return play(dialogue(), [plugin(**{method: OPINIONS[method]})], **served(tmp_path))
    except AssertionError:
        return None


def test_other_clients_are_refused(tmp_path):
    facts = served(tmp_path, CLIENT, peer="198.51.100.1")
    play(dialogue(mail="550 5.7.1 no [*]", rcpt="503", data="503"), [sender_rule()], **facts)


def sender_rule():
    return plugin(on_mail=OPINIONS["on_mail"])


def spf(value="pass"):
    def on_mail(tx, sender):
        tx.results.add("spf", value, domain=sender.domain, mailfrom=str(sender))

    return plugin(name="spf", on_mail=on_mail)


def test_a_domain_is_allowed_from_the_plugin_on_that_proves_it(tmp_path):
    facts = served(tmp_path, "example.org")
    play(dialogue(), [spf(), sender_rule()], **facts)
    refused = dialogue(mail="550 5.7.1 no [*]", rcpt="503", data="503")
    play(refused, [sender_rule(), spf()], **facts)
    play(refused, [spf("fail"), sender_rule()], **facts)


def test_a_plugin_that_waits_is_lifted(tmp_path):
    async def on_message(_tx):
        return deny("no")

    play(dialogue(), [plugin(on_message=on_message)], **served(tmp_path, CLIENT))


def test_a_quarantine_is_lifted(tmp_path):
    def on_message(tx):
        tx.quarantine("odd")

    for names, reason in ((), "odd"), ((CLIENT,), ""):
        played = play(dialogue(), [plugin(on_message=on_message)], **served(tmp_path, *names))
        assert [one.quarantined for one in played.messages] == [reason]


def test_later_plugins_still_decide(tmp_path):
    asked = []
    later = plugin(name="later", on_mail=lambda _t, _s: asked.append(1) or accept())
    play(dialogue(), [sender_rule(), later], **served(tmp_path, CLIENT))
    assert asked == [1]


def test_a_failed_plugin_still_defers(tmp_path):
    def on_mail(_tx, _sender):
        raise RuntimeError("broken")

    text = dialogue(mail="451 4.3.0 Temporary local problem [*]", rcpt="503", data="503")
    play(text, [plugin(on_mail=on_mail)], **served(tmp_path, CLIENT))


def test_the_core_and_plugins_about_recipients_still_refuse(tmp_path):
    facts = served(
        tmp_path, CLIENT, "to:alice@example.com", recipients={"known": ["bob@example.com"]}
    )
    play(dialogue(rcpt="550 5.1.1 No such mailbox [*]", data="554"), **facts)
    play(dialogue(to="bob@elsewhere.example", rcpt=RELAY, data="554"), **facts)
    full = plugin(on_rcpt=lambda _t, _r: deny("full", enhanced="5.2.2"))
    play(dialogue(to="bob@example.com", rcpt="550 5.2.2 full [*]", data="554"), [full], **facts)


def test_an_entry_for_a_recipient_lifts_what_is_about_them(tmp_path):
    rules = plugin(on_rcpt=OPINIONS["on_rcpt"], on_message=OPINIONS["on_message"])
    facts = served(tmp_path, "to:alice@example.com")
    play(dialogue(), [rules], **facts)
    play(dialogue(to="bob@example.com", rcpt="450 4.7.1 later [*]", data="554"), [rules], **facts)


def test_an_entry_has_no_effect_after_its_end(tmp_path):
    facts = served(tmp_path, CLIENT, until=START + 60)
    play(dialogue(), [sender_rule()], now="2024-01-01 00:00:59+00:00", **facts)
    refused = dialogue(mail="550 5.7.1 no [*]", rcpt="503", data="503")
    play(refused, [sender_rule()], now="2024-01-01 00:01:00+00:00", **facts)


def test_a_plugin_that_keeps_its_decisions_refuses(tmp_path):
    one = sender_rule()
    kept = Installed(one.plugin, allowed="keep")
    refused = dialogue(mail="550 5.7.1 no [*]", rcpt="503", data="503")
    play(refused, [kept], **served(tmp_path, CLIENT))


TRAP = "trap@example.com"


def trapped(tmp_path, text, **fields):
    return play(text, traps=[TRAP], **served(tmp_path, CLIENT, **fields))


def test_a_trap_refuses_allowed_mail_unless_the_entry_is_about_traps(tmp_path):
    trapped(tmp_path, dialogue(to=TRAP, data=REFUSED))
    played = trapped(tmp_path, dialogue(to=TRAP), traps=True)
    assert len(played.messages) == 1


def records_with(tmp_path, text, **fields):
    """Return the records of a dialogue."""
    return asyncio.run(_records_with(tmp_path, text, **fields))


async def _records_with(tmp_path, text, **fields):
    found = []
    facts = served(tmp_path, CLIENT, **fields)
    async with MemoryServer(
        [plugin(**OPINIONS)], config=facts["config"], traps=[TRAP], records=found.append
    ) as server:
        client = server.connect(facts["peer"])
        await perform(client, text)
        await client.close()
    return found


def test_the_record_has_what_would_have_been_decided_and_the_entry(tmp_path):
    records = records_with(tmp_path, dialogue(), until=START + 90 * 365 * DAY)
    message = next(one for one in records if type(one).__name__ == "Transaction")
    connection = next(one for one in records if type(one).__name__ == "Connection")
    entry = "192.0.2.0/24 until 2113-12-10 00:00 UTC by alice: ticket 12"
    found = [
        (one.hook, one.verdict, one.reason, one.shadow, one.allowed) for one in message.answers
    ]
    assert ("mail", "deny", "sender", True, entry) in found
    assert ("rcpt", "defer", "grey", True, entry) in found
    assert ("data", "hold", "odd", True, entry) in found
    assert ("message", "deny", "spam", True, entry) in found
    assert [(one.hook, one.reason, one.allowed) for one in connection.answers] == [
        ("connect", "listed", entry),
        ("helo", "name", entry),
    ]
    assert message.result == "accepted"


def test_the_record_of_a_trap_has_the_entry(tmp_path):
    records = records_with(tmp_path, dialogue(to=TRAP), until=START + 90 * 365 * DAY, traps=True)
    message = next(one for one in records if type(one).__name__ == "Transaction")
    trap = next(one for one in message.answers if one.reason == "trap")
    assert (trap.by, trap.verdict, trap.shadow) == ("gatepost", "deny", True)
    assert "traps too: ticket 12" in trap.allowed
    assert [one.treatment for one in message.traps] == ["none"]
