"""The services of a server for its plugins: time, DNS, folders, state, traps, its own facts."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gatepost.lists.addresses import ListSource
from gatepost.log.logger import Logger, get_logger
from gatepost.net.resolver import Resolver
from gatepost.plugin.base import Plugin
from gatepost.plugin.clock import Clock
from gatepost.plugin.server_facts import ServerFacts
from gatepost.plugin.trap_registry import Traps
from gatepost.registry.registry import Registry
from gatepost.store.store import OpenedStore
from gatepost.tables.known import KnownTables
from gatepost.tables.tables import Tables

# The namespace in which workers agree on the jobs for one of them.
CLAIMS = "gatepost.every"

_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Services(msgspec.Struct, frozen=True, eq=False):
    """The services of one worker. The store is opened by the first operation of a plugin."""

    clock: Clock
    resolver: Resolver
    data_dir: Path
    store: OpenedStore
    server: ServerFacts
    registry: Registry
    known: Sequence[ListSource]
    tables: Tables
    known_tables: KnownTables

    def provide(self, plugin: Plugin) -> None:
        """Give the services to a plugin."""
        if isinstance(plugin.log, Logger):  # created in code; its name may have changed since
            plugin.log = get_logger("gatepost.plugin", plugin=plugin.name)
        plugin.clock = self.clock
        plugin.resolver = self.resolver
        plugin.data_dir = self.data_dir
        plugin.store = self.store.scope(namespace(plugin.name))
        plugin.server = self.server
        plugin.tables = self.tables
        plugin.traps = Traps(self.registry, self.known, self.known_tables, self.clock, plugin.name)
        plugin.background_jobs.claims = self.store.scope(CLAIMS)


def namespace(name: str) -> str:
    """Return the namespace in the store of a plugin; the name of its file can be any text."""
    if _NAMESPACE.fullmatch(name):
        return name
    octets = name.encode(errors="surrogateescape")
    return f"plugin-{hashlib.blake2b(octets, digest_size=16).hexdigest()}"
