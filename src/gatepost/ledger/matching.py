"""A test of whether a record is in a `Selection`.

`matcher` turns a selection into one test of a record. `letter_of` is what the store also keeps of a
record, to skip others without decoding them: one letter for its kind and result.
"""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, get_args

from gatepost.ledger.extract import ConnectionExtract, Extract, TransactionExtract
from gatepost.ledger.keys import (
    NETWORK_BITS,
    canonical_address,
    canonical_domain,
    canonical_ip,
    domain_of,
    key_text,
    keys_of,
    network_of,
)
from gatepost.ledger.records import (
    Answer,
    Connection,
    Delivery,
    Record,
    Transaction,
)
from gatepost.ledger.selection import Key, KeyKind, Selection

Test = Callable[[Record], bool]

_BY_REPLY: Final = {"4": "deferred", "5": "refused"}
_KINDS: Final[dict[type, str]] = {
    kind: str(kind.__struct_config__.tag) for union in (Record, Extract) for kind in get_args(union)
}
# The files of the ledger have these letters: a kind or a result gets a new one.
_LETTERS: Final[dict[tuple[str, str], str]] = {
    ("connection", ""): "c",
    ("connection", "refused"): "r",
    ("connection", "deferred"): "d",
    ("transaction", "accepted"): "A",
    ("transaction", "refused"): "R",
    ("transaction", "deferred"): "D",
    ("transaction", "abandoned"): "B",
    ("delivery", ""): "Q",
    ("notice", ""): "N",
    ("gap", ""): "G",
}
# The kinds of keys, those with the fewest records first.
_SELECTIVE: Sequence[KeyKind] = ("ref", "message_id", "address", "ip", "network", "domain")


def kind_of(record: Record | Extract) -> str:
    """Return the kind of a record, such as "transaction"."""
    return _KINDS[type(record)]


def result_of(record: Record | Extract) -> str:
    """Return the result of a transaction or of a connection that was refused, otherwise ""."""
    if isinstance(record, Transaction | TransactionExtract):
        return record.result
    if isinstance(record, Connection | ConnectionExtract):
        return _BY_REPLY.get(record.reply[:1], "")
    return ""


def letter_of(record: Record | Extract) -> str:
    """Return the letter for the kind and the result of a record."""
    return _LETTERS[kind_of(record), result_of(record)]


def letters_of(selection: Selection) -> str:
    """Return the letters of the records that a selection can have."""
    return "".join(
        letter
        for (kind, result), letter in _LETTERS.items()
        if (not selection.kinds or kind in selection.kinds)
        and (not selection.results or result in selection.results)
    )


def matcher(selection: Selection) -> Test:
    """Return the test that a record passes if all conditions of the selection apply."""
    tests = list(_tests(selection))
    return lambda record: all(test(record) for test in tests)


def best_key(selection: Selection) -> Key | None:
    """Return the key by which the fewest records have to be read, None without any."""
    keys = [*selection.keys, *_implied(selection)]
    return min(keys, key=lambda key: _SELECTIVE.index(key.kind), default=None)


def _tests(selection: Selection) -> Iterator[Test]:
    """Yield a test for each condition, the cheapest first."""
    if selection.since:
        yield lambda record: record.time >= selection.since
    if selection.until:
        yield lambda record: record.time < selection.until
    if selection.kinds:
        yield lambda record: kind_of(record) in selection.kinds
    if selection.results:
        yield lambda record: result_of(record) in selection.results
    yield from _tests_of_opinions(selection)
    yield from _tests_of_parties(selection)
    if selection.keys:
        texts = {key_text(key) for key in selection.keys}
        yield lambda record: texts.issubset(keys_of(record))


def _tests_of_opinions(selection: Selection) -> Iterator[Test]:
    if selection.reason:
        yield lambda record: selection.reason in _reasons(record)
    if selection.plugin:
        yield lambda record: selection.plugin in _authors(record)


def _tests_of_parties(selection: Selection) -> Iterator[Test]:
    if selection.client:
        has_client = _client_test(selection.client)
        yield lambda record: any(map(has_client, _clients(record)))
    if selection.sender:
        is_sender = _address_test(selection.sender)
        yield lambda record: any(map(is_sender, _senders(record)))
    if selection.to:
        is_recipient = _address_test(selection.to)
        yield lambda record: any(map(is_recipient, _recipients(record)))


def _implied(selection: Selection) -> Iterator[Key]:
    """Yield the keys that every selected record has because of other conditions."""
    for text in filter(None, (selection.sender, selection.to)):
        yield Key("address" if _is_address(text) else "domain", text)
    if selection.client:
        yield from _keys_of_client(selection.client)


def _keys_of_client(text: str) -> Iterator[Key]:
    network = _parse_network(text)
    if network is None:
        yield Key("ip", text)
    elif network.prefixlen >= NETWORK_BITS[len(network.network_address.packed)]:
        yield Key("network", network_of(str(network.network_address)))


def _is_address(text: str) -> bool:
    return "@" in text.removeprefix("@") or text == "<>"


def _address_test(text: str) -> Callable[[str], bool]:
    if _is_address(text):
        whole = canonical_address(text)
        return lambda address: canonical_address(address) == whole
    domain = canonical_domain(text)
    return lambda address: domain_of(canonical_address(address)) == domain


def _client_test(text: str) -> Callable[[str], bool]:
    network = _parse_network(text)
    if network is None:
        canonical = canonical_ip(text)
        return lambda address: canonical_ip(address) == canonical
    return lambda address: _is_within(address, network)


def _is_within(address: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(canonical_ip(address)) in network
    except ValueError:
        return False


def _parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return a network in CIDR form; None for a single address or another text."""
    if "/" not in text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _clients(record: Record) -> list[str]:
    return [record.client.address] if isinstance(record, Connection | Transaction) else []


def _senders(record: Record) -> list[str]:
    return [record.sender] if isinstance(record, Transaction | Delivery) else []


def _recipients(record: Record) -> list[str]:
    if isinstance(record, Transaction):
        return [*(one.address for one in record.recipients), *record.replaced]
    return list(record.recipients) if isinstance(record, Delivery) else []


def _answers(record: Record) -> Sequence[Answer]:
    return record.answers if isinstance(record, Connection | Transaction) else ()


def _reasons(record: Record) -> set[str]:
    found = {answer.reason for answer in _answers(record)}
    if isinstance(record, Connection):
        return found | {record.end}
    return found | {record.reason} if isinstance(record, Transaction) else found


def _authors(record: Record) -> set[str]:
    found = {answer.by for answer in _answers(record)}
    return found | {record.by, record.plugin} if isinstance(record, Transaction) else found
