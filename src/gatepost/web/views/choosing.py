"""The page that asks what to allow: the subjects of a message, or of a dossier.

Only what is proven in a message is offered, as an entry for anything else has no effect on it.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from gatepost.allow.subject import Kind, Subject, SubjectError, parse_subject
from gatepost.ledger.keys import canonical_address, domain_of, network_of
from gatepost.ledger.records import Connection, PluginResult, Transaction
from gatepost.ledger.words.story import Story
from gatepost.web.allows import DAYS, entry_of, last_day, subject_of
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.subjects import PATH as DOSSIER
from gatepost.web.views.message import find_story
from gatepost.web.views.view import Shown

# Recipients that are offered.
_MOST = 5


class Choice(NamedTuple):
    """A subject: what it allows, what else it allows, why it is too wide, the present entry."""

    what: str
    about: str
    warnings: list[str]
    objections: list[str]
    present: str


def query(source: Source, filters: Filters, ref: str) -> Shown | None:
    """Return the choices for a reference, or for the text `q` of a dossier.

    None is a reference without a record. Raises `ChangeError` and `AllowError`.
    """
    story = find_story(source, ref) if ref else None
    if ref and story is None:
        return None
    subjects = [*_of_text(filters.q)] if story is None else [*_of_story(story)]
    facts = {
        "back": filters.url(DOSSIER, q=filters.q) if story is None else f"/message/{story.ref}",
        "choices": [_choice(source, one) for one in dict.fromkeys(subjects)],
        "days": DAYS,
        "last_day": last_day(source.now),
        "text": "",
        "done": "",
    }
    return Shown([], facts)


def _choice(source: Source, one: Subject) -> Choice:
    entry = entry_of(source.config.data_dir, str(one), source.now)
    present = "" if entry is None else str(entry)
    return Choice(str(one), one.about, list(one.warnings()), list(one.objections()), present)


def _of_text(text: str) -> Iterator[Subject]:
    """Yield the subjects of a dossier's text; raises `ChangeError`."""
    first = subject_of(text)
    yield first
    network = first.network
    if network is not None and network.num_addresses == 1:
        yield from _parsed(network_of(str(network.network_address)))
    if first.kind is Kind.SENDER:
        yield from _parsed(domain_of(first.key), f"to:{first.key}")


def _of_story(story: Story) -> Iterator[Subject]:
    tx, connection = story.transaction, story.connection
    first = tx or connection
    if first is not None:
        yield from _of_client(first)
    if tx is None:
        return
    if _passed(tx, "spf") and tx.sender:
        yield from _parsed(domain_of(canonical_address(tx.sender)), tx.sender)
    yield from _parsed(*(str(one.facts.get("domain", "")) for one in _passed(tx, "dkim")))
    yield from _parsed(*(f"to:{one.address}" for one in tx.recipients[:_MOST]))


def _of_client(record: Transaction | Connection) -> Iterator[Subject]:
    address = record.client.address
    try:
        ip_address(address)
    except ValueError:  # a Unix socket
        return
    yield from _parsed(address, network_of(address))


def _passed(tx: Transaction, name: str) -> list[PluginResult]:
    return [one for one in tx.results if one.name == name and one.value == "pass"]


def _parsed(*texts: str) -> Iterator[Subject]:
    """Yield the subjects of texts from records; those that are hidden or damaged have none."""
    for text in texts:
        try:
            yield parse_subject(text)
        except SubjectError:
            continue
