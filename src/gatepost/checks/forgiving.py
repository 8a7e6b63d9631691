"""Remove clients and domains from what plugins remember about trap hits.

A reference stands for the client of its session and the domain of its sender, as the ledger has
them. Limits: it deletes keys of the shipped plugins `trap_memory`, `trap_probes` and `standing`;
their names in the configuration do not matter.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from gatepost.config.schema import Config
from gatepost.ledger.records import Connection, Record, Transaction
from gatepost.model.address import domain_key
from gatepost.plugin.clock import SystemClock
from gatepost.plugin.services import namespace
from gatepost.session.assemble import make_store
from gatepost.store.errors import StoreError
from gatepost.store.store import Store
from gatepost.traps.memory import domain_key_of, network_keys

# Returns the records of a reference.
Find = Callable[[str], Iterable[Record]]
# Asks the store about a key of a plugin, or deletes it; returns whether it was on record.
Ask = Callable[[Store, str], Awaitable[bool]]

_REFERENCE = re.compile(r"[0-9a-f]{8}-[0-9a-f]+(?:\.[0-9a-f]+)?")


class SubjectError(ValueError):
    """The text stands for nothing; the message has what was expected."""


class ForgiveError(Exception):
    """A failed change of the memory; the message has the reason."""


class Subject(NamedTuple):
    """A client or a domain to forgive, with its keys by the plugin that has them."""

    name: str
    keys: dict[str, tuple[str, ...]]


class Forgiven(NamedTuple):
    """A subject, and the number of keys that were on record."""

    name: str
    deleted: int


class Remembered(NamedTuple):
    """A subject, the name of a plugin, and the number of keys that it has on record."""

    name: str
    plugin: str
    found: int


def subjects_of(text: str, find: Find) -> list[Subject]:
    """Return what a reference, an IP address, a network, a domain or an address stands for.

    Raises `SubjectError`, and `ForgiveError` for a reference without a record.
    """
    if _REFERENCE.fullmatch(text):
        return list(_of_reference(text, find))
    try:
        return [_of_client(text)]
    except ValueError:
        return [_of_domain(text.rpartition("@")[2])]


def _of_client(text: str) -> Subject:
    """Return the networks of a client, or of a network's first address; raises ValueError."""
    address = ip_network(text, strict=False).network_address if "/" in text else ip_address(text)
    return Subject(text, _trap_keys(*network_keys(address)))


def _trap_keys(*keys: str) -> dict[str, tuple[str, ...]]:
    """Return the keys of networks or domains by plugin."""
    return {"trap_memory": keys, "trap_probes": tuple(f"flag {key}" for key in keys)}


def _of_domain(text: str) -> Subject:
    domain = domain_key(text)
    if "." not in domain:
        raise SubjectError(
            f"expected a reference, an IP address, a network or a domain, found {text!r}"
        )
    return Subject(domain, _trap_keys(domain_key_of(domain)) | {"standing": (f"bad {domain}",)})


def _of_reference(text: str, find: Find) -> Iterator[Subject]:
    records = list(find(text))
    clients = {one.client.address for one in records if isinstance(one, Connection | Transaction)}
    senders = {one.sender for one in records if isinstance(one, Transaction) and "@" in one.sender}
    if not clients:
        raise ForgiveError(f"no record of {text}")
    for client in sorted(clients):
        try:
            yield _of_client(client)
        except ValueError:  # a Unix socket
            continue
    for domain in sorted({sender.rpartition("@")[2] for sender in senders}):
        yield _of_domain(domain)


def forgive(subjects: Sequence[Subject], config: Config) -> list[Forgiven]:
    """Delete the keys of subjects; return how many each had. Raises `ForgiveError`."""
    found = _of_each(subjects, config, _delete)
    return [
        Forgiven(one.name, sum(each.found for each in found if each.name == one.name))
        for one in subjects
    ]


def remembered(subjects: Sequence[Subject], config: Config) -> list[Remembered]:
    """Return what each plugin has on record of subjects. Raises `ForgiveError`."""
    return _of_each(subjects, config, _has)


def _of_each(subjects: Sequence[Subject], config: Config, ask: Ask) -> list[Remembered]:
    if config.store.url == "memory":
        raise ForgiveError("store.url is memory: the server's workers lose everything at a restart")
    try:
        return asyncio.run(_asked(subjects, config, ask))
    except StoreError as error:
        raise ForgiveError(f"store: {error}") from error


async def _asked(subjects: Sequence[Subject], config: Config, ask: Ask) -> list[Remembered]:
    store = make_store(config, SystemClock())
    try:
        return [
            Remembered(one.name, name, await _count(store.scope(namespace(name)), keys, ask))
            for one in subjects
            for plugin, keys in one.keys.items()
            for name in _names(plugin, config)
        ]
    finally:
        await store.close()


async def _count(scope: Store, keys: Iterable[str], ask: Ask) -> int:
    return sum([await ask(scope, key) for key in keys])


async def _delete(scope: Store, key: str) -> bool:
    return await scope.delete(key)


async def _has(scope: Store, key: str) -> bool:
    return await scope.get(key) is not None


def _names(plugin: str, config: Config) -> list[str]:
    """Return the names under which a shipped plugin is configured."""
    return [one.name or plugin for one in config.plugin if one.use == plugin]
