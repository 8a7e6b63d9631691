"""The keys of a record: the texts by which `gatepost explain` finds it.

A key is a text such as "address:user@example.com", in canonical form: two spellings of an address
have the same key. `keys_of` returns the keys of a record, `key_text` the text of a `Key`. The index
stores `key_hash` of them.

Security: clients choose message IDs and addresses, and may choose two with the same hash. A record
that was found by hash must therefore be compared by text.

Limits: MAX_KEYS of a record. A record with full lists (`records.MAX_LISTED`) has at most 410.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from gatepost.ledger.records import Connection, Delivery, Record, Transaction
from gatepost.ledger.selection import Key
from gatepost.model.address import Address, AddressError, domain_key

MAX_KEYS = 512
HASH_OCTETS = 5
# The prefix lengths of "network" keys.
NETWORK_BITS = {4: 24, 6: 48}
# The key of the null sender.
NULL = "<>"

# Most mail of a minute has few domains and networks. An attacker can fill a cache: 20,000 entries
# take at most about 10 MB.
_CACHED = 20_000


def keys_of(record: Record) -> list[str]:
    """Return the keys of a record, without duplicates; at most MAX_KEYS."""
    found = _KEYS.get(type(record))
    return [] if found is None else list(dict.fromkeys(found(record)))[:MAX_KEYS]


def key_text(key: Key) -> str:
    """Return a key as text in canonical form."""
    return f"{key.kind}:{_CANONICAL[key.kind](key.value)}"


@lru_cache(_CACHED)
def key_hash(text: str) -> int:
    """Return the hash of a key as a number of HASH_OCTETS octets."""
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=HASH_OCTETS).digest()
    return int.from_bytes(digest, "big")


@lru_cache(_CACHED)
def canonical_address(text: str) -> str:
    """Return the canonical form of an address as records have it; "<>" for the null sender."""
    if text.isascii() and '"' not in text and "[" not in text:
        return text.lower().removesuffix(".") or NULL
    try:
        return Address.parse(text).key
    except AddressError:
        return text.lower()  # made by a plugin


def canonical_domain(text: str) -> str:
    """Return the canonical form of a domain, with or without "@" before it."""
    return domain_key(text.removeprefix("@"))


def domain_of(address: str) -> str:
    """Return the domain of a canonical address, "" if it has none."""
    return address.rpartition("@")[2] if "@" in address else ""


@lru_cache(_CACHED)
def canonical_ip(text: str) -> str:
    """Return the canonical form of an IP address; another text, such as a path, as it is."""
    parsed = parse_ip(text)
    return text if parsed is None else str(parsed)


@lru_cache(_CACHED)
def network_of(address: str) -> str:
    """Return the /24 or /48 of an IP address, "" for another text."""
    parsed = parse_ip(address)
    return "" if parsed is None else _network(parsed)


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address without its zone, an IPv4-mapped one as IPv4; None for another text."""
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _network(address: IPv4Address | IPv6Address) -> str:
    kind = IPv4Network if address.version == 4 else IPv6Network
    return str(kind((int(address), NETWORK_BITS[address.version]), strict=False))


def _canonical_network(text: str) -> str:
    return network_of(text.partition("/")[0]) or text


def canonical_message_id(text: str) -> str:
    """Return a message ID without its brackets and blanks around them."""
    return text.strip().removeprefix("<").removesuffix(">").strip()


_CANONICAL: dict[str, Callable[[str], str]] = {
    "ref": str.strip,
    "message_id": canonical_message_id,
    "address": canonical_address,
    "domain": canonical_domain,
    "ip": canonical_ip,
    "network": _canonical_network,
}


@lru_cache(_CACHED)
def _of_address(text: str) -> tuple[str, ...]:
    address = canonical_address(text)
    domain = domain_of(address)
    return (f"address:{address}", f"domain:{domain}") if domain else (f"address:{address}",)


@lru_cache(_CACHED)
def _of_client(address: str) -> tuple[str, ...]:
    network = network_of(address)
    ip = f"ip:{canonical_ip(address)}"
    return (ip, f"network:{network}") if network else (ip,)


def _of_connection(record: Connection) -> Iterator[str]:
    yield f"ref:{record.ref}"
    yield from _of_client(record.client.address)


def _of_transaction(record: Transaction) -> Iterator[str]:
    yield f"ref:{record.ref}"
    yield f"ref:{record.session}"
    if record.message_id:
        yield f"message_id:{canonical_message_id(record.message_id)}"
    yield from _of_client(record.client.address)
    yield from _of_address(record.sender)
    for recipient in record.recipients:
        yield from _of_address(recipient.address)
    for trap in record.traps:
        yield from _of_address(trap.address)


def _of_delivery(record: Delivery) -> Iterator[str]:
    yield f"ref:{record.ref}"
    yield from _of_address(record.sender)
    for recipient in record.recipients:
        yield from _of_address(recipient)


_KEYS: dict[type, Callable[[Any], Iterator[str]]] = {
    Connection: _of_connection,
    Transaction: _of_transaction,
    Delivery: _of_delivery,
}
