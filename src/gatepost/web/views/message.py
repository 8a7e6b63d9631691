"""The page of one message: its dialogue, the opinion of each plugin with its time, the rule.

A connection that ended without a message has such a page too.
The explanation is that of `gatepost explain`. The dialogue is put together from the record: the
ledger has the envelope and the replies, not the octets.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gatepost.ledger.keys import canonical_address, domain_of, network_of
from gatepost.ledger.lookup import MOST, complete
from gatepost.ledger.records import Answer, Transaction
from gatepost.ledger.selection import Key
from gatepost.ledger.words.explain import headline, sections
from gatepost.ledger.words.story import Story, story_of
from gatepost.ledger.words.wording import on_one_line, path
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Kind, Row, Table
from gatepost.web.views.message_actions import actions
from gatepost.web.views.try_form import link_of
from gatepost.web.views.view import Shown

ANSWERS = (
    Column("hook", "At"),
    Column("by", "By"),
    Column("verdict", "Opinion", "result"),
    Column("reason", "Reason"),
    Column("about", "About", "address"),
    Column("reply", "Reply"),
    Column("seconds", "Time", "seconds"),
)
_OPINIONS = {"accept": "accepted", "deny": "refused", "defer": "deferred", "hold": "held"}
# Recipients with a link to their dossier.
_MOST_SUBJECTS = 10
# Sections that this page shows in another form.
_OWN = frozenset({"Answers", "Reply to the client"})


class Line(NamedTuple):
    """A command of the client and the reply, "" if it is not recorded; `result` is its style."""

    command: str
    reply: str = ""
    result: str = ""


def query(source: Source, _filters: Filters, ref: str) -> Shown | None:
    """Return the page of a reference, None if there is no visible record of it."""
    story = find_story(source, ref)
    if story is None:
        return None
    sentence, style = headline(story)
    parts = [one for one in sections(story, _filters.tz) if one.rows and one.title not in _OWN]
    facts = {
        "ref": story.ref,
        "headline": sentence,
        "style": style,
        "sections": parts,
        "dialogue": list(_dialogue(story)),
        "subjects": list(_subjects(story)),
        "actions": actions(source, story),
        "again": _again(source, story),
    }
    return Shown([_answers(story)], facts)


def _again(source: Source, story: Story) -> str:
    """Return the path on which the envelope is tried, "" if the record hides its addresses."""
    return "" if "addresses" in source.config.ledger.privacy else link_of(story)


def find_story(source: Source, ref: str) -> Story | None:
    """Return the visible records of a reference, None without any; raises `LedgerError`."""
    story = story_of(ref, source.ledger.find(Key("ref", ref), MOST))
    return None if story is None else complete(source.ledger, story)


def _subjects(story: Story) -> Iterator[tuple[str, str, Kind]]:
    """Yield what has a dossier: its title, its value and its kind."""
    tx, first = story.transaction, story.transaction or story.connection
    if first is not None:
        address = first.client.address
        yield from (("client", address, "client"), ("network", network_of(address), "client"))
    if tx is not None:
        domain = domain_of(canonical_address(tx.sender))
        yield from (("sender", tx.sender, "address"), ("domain", domain, "domain"))
        yield from (("recipient", one.address, "address") for one in tx.recipients[:_MOST_SUBJECTS])


def _answers(story: Story) -> Table:
    tx, connection = story.transaction, story.connection
    found = [*(connection.answers if connection else ()), *(tx.answers if tx else ())]
    rows = [Row(_answer(one)) for one in found]
    empty = "No plugin and no rule gave an opinion about this message."
    return Table("answers", "Opinions", ANSWERS, rows, empty)


def _answer(one: Answer) -> tuple[str, str, str, str, str, str, float]:
    opinion = _OPINIONS[one.verdict] + _effect(one)
    reply = on_one_line(one.reply)
    return one.hook or "-", one.by, opinion, one.reason, one.about, reply, one.seconds


def _effect(one: Answer) -> str:
    """Return why an opinion had no effect, "" if it had."""
    return " (allowed)" if one.allowed else " (shadow)" * one.shadow


def _dialogue(story: Story) -> Iterator[Line]:
    tx, connection = story.transaction, story.connection
    first = tx or connection
    if first is None:
        return
    client = first.client
    yield Line(f"(connection from {client.address})")
    if client.tls:
        yield Line(f"({client.tls} {client.cipher})")
    if client.helo:
        yield Line(f"EHLO {client.helo}")
    if client.user:
        yield Line(f"AUTH {client.mechanism} ({client.user})")
    if tx is not None:
        yield from _transaction(tx)
    elif connection is not None and connection.reply:
        yield Line("(end)", on_one_line(connection.reply), "refused")


def _transaction(tx: Transaction) -> Iterator[Line]:
    refused = [one for one in tx.answers if one.hook == "mail" and one.reply]
    reply = on_one_line(refused[-1].reply) if refused else ""
    yield Line(f"MAIL FROM:{path(tx.sender)}", reply, "refused" if reply else "")
    for one in tx.recipients:
        if not one.added:
            yield Line(f"RCPT TO:{path(one.address)}", on_one_line(one.reply), one.result)
    missing = tx.recipients_count - len(tx.recipients)
    if missing > 0:
        yield Line(f"({missing} more recipients, not recorded)")
    if tx.size:
        yield Line(f"(content of {tx.size:,} octets)", on_one_line(tx.reply), tx.result)
    elif tx.reply:
        yield Line("DATA", on_one_line(tx.reply), tx.result)
