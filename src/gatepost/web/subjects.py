"""Values with a dossier: addresses, domains, IP addresses and networks of clients.

Each cell of such a kind is a link. Values come from clients: one that the dossier would refuse has
no link.
"""

from gatepost.ledger.keys import NULL, network_of
from gatepost.web.filters import EVER, MAX_TEXT, Filters
from gatepost.web.table import Kind, Value

PATH = "/dossier"


def dossier(value: Value, kind: Kind, filters: Filters) -> str:
    """Return the path of the dossier of a value, "" without one; it keeps the zone."""
    subject = _subject(str(value), kind)
    return Filters(period=EVER, zone=filters.zone).url(PATH, q=subject) if subject else ""


def _subject(value: str, kind: Kind) -> str:
    """Return the first word: the number of other recipients can follow an address."""
    word = value.partition(" ")[0]
    if len(word) > MAX_TEXT or not word.isprintable():
        return ""
    return word if _has_dossier(word, kind) else ""


def _has_dossier(word: str, kind: Kind) -> bool:
    if kind == "address":
        return "@" in word[1:-1] or word == NULL
    if kind == "client":
        return bool(network_of(word.partition("/")[0]))
    return kind == "domain" and "." in word[1:-1]
