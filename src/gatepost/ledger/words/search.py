"""Recognise the argument of `gatepost explain`: a text becomes the keys that records are found by.

The text is a reference, a Message-ID, an address, a domain, an IP address or a network. It can also
be a longer text with one of them: a reply, a Received field, a line of a log. One text can be two
of them, as `<a@example.org>` is an address and a Message-ID. So there are several keys, the
likeliest first.

Limits: only the first MAX_TEXT characters are read, and at most MAX_KEYS keys are returned.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice

from gatepost.ledger.keys import NETWORK_BITS, NULL
from gatepost.ledger.selection import Key
from gatepost.ledger.words.wording import REFERENCE
from gatepost.model.address import LENIENT_DOMAIN, Address, AddressError, domain_key

MAX_TEXT = 10_000
MAX_KEYS = 20

_IS_REFERENCE = re.compile(REFERENCE).fullmatch
_IS_DOMAIN = re.compile(LENIENT_DOMAIN).fullmatch
# Places of a reference in a longer text: a refusal, the reply to a message, Received, the log.
_PLACES = (
    re.compile(rf"\[({REFERENCE})\]"),
    re.compile(rf"\bOk, ({REFERENCE})(?![\w.-])"),
    re.compile(rf"\bid ({REFERENCE})(?![\w.-])"),
    re.compile(rf"\bref\W{{1,4}}({REFERENCE})(?![\w.-])"),
)
_IN_BRACKETS = re.compile(r"[<\[]([^<>\[\]\s]{1,998})[>\]]")
_WITH_PORT = re.compile(r"\[?([0-9A-Fa-f.:]+?)\]?:[0-9]{1,5}")


class SearchError(ValueError):
    """The text has nothing that records are found by."""


def search_keys(text: str) -> list[Key]:
    """Return the keys to try, in this order; raises `SearchError`.

    A "network" key that is not a /24 or /48 is not in the index.
    """
    found = dict.fromkeys(islice(_keys(text[:MAX_TEXT].strip()), MAX_KEYS))
    if not found:
        raise SearchError(
            "expected a reference, a Message-ID, an address, a domain, an IP address or a network,"
            f" found {text[:80]!r}"
        )
    return list(found)


def is_indexed(network: str) -> bool:
    """Return whether a network is one that records are indexed by."""
    parsed = ip_network(network)
    return parsed.prefixlen == NETWORK_BITS[len(parsed.network_address.packed)]


def _keys(text: str) -> Iterator[Key]:
    for place in _PLACES:
        yield from (Key("ref", ref) for ref in reversed(place.findall(text)))
    if len(text.split()) == 1:
        yield from _of_word(text)
    else:
        for word in _IN_BRACKETS.findall(text):
            yield from _of_word(word)


def _of_word(text: str) -> Iterator[Key]:
    if text == NULL:
        yield Key("address", NULL)
        return
    is_quoted = text.startswith("<")
    word = text[1:-1] if text[0] + text[-1] in ("<>", "[]") else text
    if _IS_REFERENCE(word):
        yield Key("ref", word)
    yield from _of_client(word)
    ids = [Key("message_id", word)] if is_quoted or "@" in word[1:-1] else []
    yield from (*ids, *_of_address(word)) if is_quoted else (*_of_address(word), *ids)
    domain = word.removeprefix("@")
    if "." in domain and _IS_DOMAIN(domain) and not _is_number(domain):
        yield Key("domain", domain_key(domain))


def _of_address(word: str) -> list[Key]:
    try:
        return [Key("address", Address.parse(word).key)]
    except AddressError:
        return []


def _of_client(word: str) -> Iterator[Key]:
    port = _WITH_PORT.fullmatch(word)
    for text in (word, port[1] if port else ""):
        network = _network(text)
        if network is not None and "/" in text:
            yield Key("network", str(network))
        elif network is not None:
            yield Key("ip", str(network.network_address))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text if "/" in text else ip_address(text), strict=False)
    except ValueError:
        return None


def _is_number(domain: str) -> bool:
    return domain.rpartition(".")[2].isdigit()
