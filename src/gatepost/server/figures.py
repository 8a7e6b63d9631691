"""The status of this process, for metrics: what is counted in memory, and what has to be measured.

`Figures.collect` takes well below a millisecond and runs in the event loop. `Figures.measure` reads
the spool and /proc, and runs in a thread. A large spool takes longer: the next measurement starts
after PAUSES times as long as the last one took, so that it costs at most 2 % of one core.
"""

import os
import resource
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from gatepost._version import __version__
from gatepost.lists.reloadable import ReloadableFile
from gatepost.metrics.status import (
    MOST_SERIES,
    CertificateStatus,
    ListStatus,
    Status,
    TableStatus,
)
from gatepost.net.cached_resolver import CachedResolver
from gatepost.net.dns_status import DnsStatus
from gatepost.net.resolver import Resolver
from gatepost.net.tls import KeyPair
from gatepost.queue.spool.depth import Depth, depth_of_files
from gatepost.server.connections import Connections
from gatepost.session.setup import Setup
from gatepost.store.store import OpenedStore
from gatepost.tables.cached import CachedTable

PAUSES = 50
_PAGE = resource.getpagesize()
_DESCRIPTORS = Path("/proc/self/fd")
_MEMORY = Path("/proc/self/statm")


class Measured(msgspec.Struct, frozen=True):
    """The results of `measure`."""

    depth: Depth
    memory: int = 0
    files: int = 0


class Figures:
    """The figures of a server that has started; `worker` is its number."""

    def __init__(
        self,
        setup: Setup,
        connections: Connections,
        *,
        lists: Sequence[ReloadableFile[Any]],
        certificates: Sequence[KeyPair],
        store: OpenedStore,
        resolver: Resolver,
        worker: int,
    ) -> None:
        self._setup = setup
        self._connections = connections
        self._lists = lists
        self._certificates = certificates
        self._store = store
        self._resolver = resolver
        self._worker = worker
        self._started = time.time()
        self._measured = Measured(Depth([]))
        self._next = 0.0

    def collect(self, dropped: int = 0) -> Status:
        """Return the status; `dropped` are the records that could not be passed on."""
        measured, plugins = self._measured, self._setup.plugins
        times = os.times()
        return Status(
            worker=self._worker,
            pid=os.getpid(),
            time=time.time(),
            started=self._started,
            version=__version__,
            sessions=len(self._connections.members),
            connections=self._connections.by_listener(),
            lag=self._connections.take_lag(),
            memory=measured.memory,
            cpu=times.user + times.system,
            files=measured.files,
            store_degraded=self._store.is_degraded,
            dropped=dropped,
            dns=_dns(self._resolver),
            lists=[_list(one) for one in self._lists],
            tables=[_table(one) for one in self._setup.tables if isinstance(one, CachedTable)],
            certificates=[_certificate(one) for one in self._certificates],
            queue=measured.depth.destinations,
            oldest=measured.depth.oldest,
            quarantined=measured.depth.quarantined,
            quarantine_octets=measured.depth.octets,
            hooks=list(plugins.hook_times()),
            plugins=[one for one, _ in zip(plugins.series(), range(MOST_SERIES), strict=False)],
        )

    def measure(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the spool and /proc, unless the last time was too recent. Blocking I/O."""
        began = clock()
        if began < self._next:
            return
        queue = self._setup.queue
        depth = self._measured.depth
        with suppress(sqlite3.Error):  # the last result; the queue itself logs the error
            depth = depth_of_files(() if queue is None else queue.paths, time.time())
        self._measured = Measured(depth, _memory(), _open_files())
        ended = clock()
        self._next = ended + PAUSES * (ended - began)


def _dns(resolver: Resolver) -> DnsStatus:
    """Return the status of the server's resolver; that of another program has none."""
    return resolver.status if isinstance(resolver, CachedResolver) else DnsStatus()


def _list(file: ReloadableFile[Any]) -> ListStatus:
    return ListStatus(str(file.path), len(file.current), file.loaded, file.problem)


def _table(table: CachedTable) -> TableStatus:
    found = table.statistics
    return TableStatus(
        table.name,
        cached=found.hits,
        asked=found.misses,
        answered=found.queries - found.failures,
        failed=found.failures,
        seconds=found.seconds,
        unavailable=table.is_unavailable,
    )


def _certificate(pair: KeyPair) -> CertificateStatus:
    return CertificateStatus(str(pair.path), pair.names, pair.expires, pair.problem)


def _memory() -> int:
    """Return the resident memory in octets, 0 where the system does not show it."""
    with suppress(OSError, ValueError, IndexError):
        return int(_MEMORY.read_text().split()[1]) * _PAGE
    return 0


def _open_files() -> int:
    """Return the number of open descriptors, 0 where the system does not show it."""
    with suppress(OSError):
        return len(os.listdir(_DESCRIPTORS))  # noqa: PTH208 - faster, and there may be 10,000
    return 0
