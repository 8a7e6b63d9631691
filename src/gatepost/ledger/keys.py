"""The keys of a record: the texts by which `gatepost explain` finds it.

A key is a text such as "address:user@example.com", in canonical form: two spellings of an address
have the same key, and the canonical form of a canonical form is the same text. `keys_of` returns
the keys of a record, `key_text` the text of a `Key`. The index has their hashes (`hashes`).

Limits: MAX_KEYS of a record. A record with full lists (`limits.MAX_LISTED`) has at most 410.
"""

from collections.abc import Callable, Sequence
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, Final

from gatepost.ledger.records import Connection, Delivery, Record, Transaction
from gatepost.ledger.selection import Key
from gatepost.model.address import Address, AddressError, domain_key, local_key

MAX_KEYS: Final = 512
# The prefix lengths of "network" keys, and the families, by the octets of an address.
NETWORK_BITS: Final = {4: 24, 16: 48}
_FAMILIES: Final = {4: AF_INET, 16: AF_INET6}
_MAPPED: Final = bytes(10) + b"\xff\xff"
# The key of the null sender.
NULL: Final = "<>"
# What may stand around a message ID.
_AROUND_ID: Final = "<> \t\r\n\v\f"

# The parts of a record that are keys: references, a message ID, a client's address, mail addresses.
Parts = tuple[Sequence[str], str, str, Sequence[str]]


def keys_of(record: Record) -> list[str]:
    """Return the keys of a record, without duplicates; at most MAX_KEYS."""
    refs, message_id, client, addresses = parts_of(record)
    found = [f"ref:{ref}" for ref in refs]
    if message_id:
        found.append(message_id_key(message_id))
    found += keys_of_client(client)
    for address in addresses:
        found += keys_of_address(address)
    return list(dict.fromkeys(found))[:MAX_KEYS]


def key_text(key: Key) -> str:
    """Return a key as text in canonical form."""
    return f"{key.kind}:{_CANONICAL[key.kind](key.value)}"


def message_id_key(text: str) -> str:
    """Return the key of a message ID."""
    return f"message_id:{canonical_message_id(text)}"


def canonical_address(text: str) -> str:
    """Return the canonical form of an address as records have it; "<>" for the null sender."""
    if not text:
        return NULL
    if text.isascii() and '"' not in text and "[" not in text:
        return text.lower().rstrip(".") or NULL
    try:
        return Address.parse(text).key
    except AddressError:  # made by a plugin
        local, at, domain = text.rpartition("@")
        return f"{local_key(local)}{at}{domain_key(domain)}"


def canonical_domain(text: str) -> str:
    """Return the canonical form of a domain, with or without "@" before it."""
    return domain_key(text.lstrip("@").rstrip("."))


def domain_of(address: str) -> str:
    """Return the domain of a canonical address, "" if it has none."""
    return address.rpartition("@")[2] if "@" in address else ""


def canonical_ip(text: str) -> str:
    """Return the canonical form of an IP address; another text, such as a path, as it is."""
    packed = _packed(text)
    return text if packed is None else inet_ntop(_FAMILIES[len(packed)], packed)


def network_of(address: str) -> str:
    """Return the /24 or /48 of an IP address, "" for another text."""
    packed = _packed(address)
    if packed is None:
        return ""
    bits = NETWORK_BITS[len(packed)]
    first = packed[: bits // 8].ljust(len(packed), b"\0")
    return f"{inet_ntop(_FAMILIES[len(packed)], first)}/{bits}"


def _packed(text: str) -> bytes | None:
    """Return the octets of an IP address without its zone, of an IPv4-mapped one those of IPv4.

    None for another text. `ipaddress` takes fifty times as long.
    """
    address = text.partition("%")[0]
    for family in _FAMILIES.values():
        try:
            packed = inet_pton(family, address)
        except (OSError, ValueError):
            continue
        return packed.removeprefix(_MAPPED)
    return None


def _canonical_network(text: str) -> str:
    return network_of(text.partition("/")[0]) or text


def canonical_message_id(text: str) -> str:
    """Return a message ID without the brackets and blanks around it."""
    return text.strip(_AROUND_ID)


_CANONICAL: Final[dict[str, Callable[[str], str]]] = {
    "ref": str,
    "message_id": canonical_message_id,
    "address": canonical_address,
    "domain": canonical_domain,
    "ip": canonical_ip,
    "network": _canonical_network,
}


def keys_of_address(text: str) -> tuple[str, ...]:
    """Return the keys of an address and its domain."""
    address = canonical_address(text)
    domain = domain_of(address)
    return (f"address:{address}", f"domain:{domain}") if domain else (f"address:{address}",)


def keys_of_client(address: str) -> tuple[str, ...]:
    """Return the keys of a client and its network."""
    if not address:
        return ()
    network = network_of(address)
    ip = f"ip:{canonical_ip(address)}"
    return (ip, f"network:{network}") if network else (ip,)


def parts_of(record: Record) -> Parts:
    """Return the parts of a record that are keys."""
    found = _PARTS.get(type(record))
    return _NONE if found is None else found(record)


def _of_connection(record: Connection) -> Parts:
    return (record.ref,), "", record.client.address, ()


def _of_transaction(record: Transaction) -> Parts:
    addresses = [record.sender]
    addresses += [recipient.address for recipient in record.recipients]
    if record.traps:
        addresses += [trap.address for trap in record.traps]
    addresses += record.replaced
    refs = (record.ref, record.session)
    return refs, record.message_id, record.client.address, addresses


def _of_delivery(record: Delivery) -> Parts:
    return (record.ref,), "", "", [record.sender, *record.recipients]


_NONE: Final[Parts] = ((), "", "", ())
_PARTS: Final[dict[type, Callable[[Any], Parts]]] = {
    Connection: _of_connection,
    Transaction: _of_transaction,
    Delivery: _of_delivery,
}
