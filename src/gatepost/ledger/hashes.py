"""The hashes by which the index finds records.

`hashes_of` returns the hashes of a record's keys, `hash_of` that of a `Key`. The records of a
connection, its transactions and their deliveries share one: that of the connection's reference. So
a look-up of a transaction's reference reads all records of its connection.

Security: clients choose message IDs and addresses, and may choose two with the same hash. A record
that was found by hash must therefore be compared by text.

Limits: MAX_KEYS of a record. Each cache has _CACHED entries.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, TypeVar

from gatepost.ledger.extract import (
    ConnectionExtract,
    DeliveryExtract,
    Extract,
    TransactionExtract,
)
from gatepost.ledger.keys import (
    MAX_KEYS,
    canonical_address,
    domain_of,
    key_text,
    keys_of_client,
    message_id_key,
    network_of,
)
from gatepost.ledger.selection import Key

HASH_OCTETS: Final = 5
# Most mail of a minute has few domains and networks. A full cache is emptied: an attacker can fill
# it, and 20,000 entries take at most about 10 MB.
_CACHED: Final = 20_000

# In so few hashes a search of the list finds duplicates faster than a set.
_FEW: Final = 10

T = TypeVar("T")


class Mailbox:
    """An address and its domain in canonical form, with the hashes of their keys."""

    __slots__ = ("address", "domain", "hashes")

    def __init__(self, address: str, domain: str, hashes: list[bytes]) -> None:
        self.address = address
        self.domain = domain
        self.hashes = hashes


class Host:
    """The network of a client, and the hashes of the client's keys."""

    __slots__ = ("hashes", "network")

    def __init__(self, network: str, hashes: list[bytes]) -> None:
        self.network = network
        self.hashes = hashes


_refs: Final[dict[str, bytes]] = {}
_mailboxes: Final[dict[str, Mailbox]] = {}
_domains: Final[dict[str, bytes]] = {}
_hosts: Final[dict[str, Host]] = {}


def hashes_of(extract: Extract) -> list[bytes]:
    """Return the hashes by which a record is found, without duplicates; at most MAX_KEYS."""
    found = _HASHES.get(type(extract), _no_hashes)(extract)
    if len(found) > _FEW:
        return list(dict.fromkeys(found))[:MAX_KEYS]
    unique: list[bytes] = []
    for one in found:
        if one not in unique:
            unique.append(one)
    return unique


def hash_of(key: Key) -> bytes:
    """Return the hash by which the records of a key are found, and possibly others."""
    if key.kind == "ref":
        return _hash_of_ref(_connection_of(key.value))
    return key_hash(key_text(key))


def key_hash(text: str) -> bytes:
    """Return the hash of a key, HASH_OCTETS octets."""
    try:
        octets = text.encode()
    except UnicodeEncodeError:  # from a command line
        octets = text.encode(errors="surrogatepass")
    return blake2b(octets, digest_size=HASH_OCTETS).digest()


def _connection_of(ref: str) -> str:
    """Return the reference of the connection: that of a transaction has a number after it."""
    return ref.partition(".")[0]


def _hash_of_ref(ref: str) -> bytes:
    found = _refs.get(ref)
    return keep(_refs, ref, key_hash(f"ref:{ref}")) if found is None else found


def mailbox_of(text: str) -> Mailbox:
    """Return an address as records have it with its domain."""
    found = _mailboxes.get(text)
    return keep(_mailboxes, text, _new_mailbox(text)) if found is None else found


def _new_mailbox(text: str) -> Mailbox:
    address = canonical_address(text)
    domain = domain_of(address)
    hashes = [key_hash(f"address:{address}")]
    if domain:
        hashes.append(_hash_of_domain(domain))
    return Mailbox(address, domain, hashes)


def _hash_of_domain(domain: str) -> bytes:
    found = _domains.get(domain)
    return keep(_domains, domain, key_hash(f"domain:{domain}")) if found is None else found


def host_of(address: str) -> Host:
    """Return the network of a client's address as records have it."""
    found = _hosts.get(address)
    return keep(_hosts, address, _new_host(address)) if found is None else found


def _new_host(address: str) -> Host:
    return Host(network_of(address), list(map(key_hash, keys_of_client(address))))


def keep(cache: dict[str, T], key: str, value: T) -> T:
    """Return a value that is kept in a cache from now on."""
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = value
    return value


def _hashes_of_connection(one: ConnectionExtract) -> list[bytes]:
    return [_hash_of_ref(_connection_of(one.ref)), *host_of(one.client.address).hashes]


def _hashes_of_transaction(one: TransactionExtract) -> list[bytes]:
    session = one.session
    found = [_hash_of_ref(session)]
    connection = _connection_of(one.ref)
    if connection != session:
        found = [_hash_of_ref(connection), _hash_of_ref(_connection_of(session))]
    message_id = one.message_id
    if message_id:
        found.append(key_hash(message_id_key(message_id)))
    found += host_of(one.client.address).hashes
    found += mailbox_of(one.sender).hashes
    for recipient in one.recipients:
        found += mailbox_of(recipient.address).hashes
    for trap in one.traps:
        found += mailbox_of(trap.address).hashes
    for address in one.replaced:
        found += mailbox_of(address).hashes
    return found


def _hashes_of_delivery(one: DeliveryExtract) -> list[bytes]:
    found = [_hash_of_ref(_connection_of(one.ref)), *mailbox_of(one.sender).hashes]
    for recipient in one.recipients:
        found += mailbox_of(recipient).hashes
    return found


def _no_hashes(_one: Extract) -> list[bytes]:
    return []


_HASHES: Final[dict[type, Callable[[Any], list[bytes]]]] = {
    ConnectionExtract: _hashes_of_connection,
    TransactionExtract: _hashes_of_transaction,
    DeliveryExtract: _hashes_of_delivery,
}
