"""The status of one process that serves mail: the figures that records do not have.

Each worker sends one every INTERVAL seconds. Counts start at zero with the process. Times are
seconds since 1970 (UTC).

Limits: MOST_SERIES of the metrics of plugins. They are in the memory of the worker, see
`gatepost.plugin.metrics`.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gatepost.net.dns_status import DnsStatus

# Seconds between two statuses: a third of the shortest usual interval between two scrapes.
INTERVAL = 5.0
MOST_SERIES = 5000
# Upper limits in seconds of the time that a hook of a plugin takes: from a comparison in memory to
# the longest wait.
HOOK_BUCKETS = (1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Series(msgspec.Struct, frozen=True, omit_defaults=True):
    """One metric of a plugin with one set of labels; `kind` is counter, gauge or histogram.

    `name` includes the plugin. `value` of a histogram is the sum. `bounds` are the upper limits of
    its buckets, and `counts` has one number for each and one for the values above the last.
    """

    name: str
    kind: str
    labels: Mapping[str, str] = {}
    value: float = 0.0
    bounds: Sequence[float] = ()
    counts: Sequence[int] = ()


class HookTimes(msgspec.Struct, frozen=True):
    """The time that a method of a plugin has taken; `counts` are those of HOOK_BUCKETS.

    `failures` are its errors and time-outs, `timeouts` those alone.
    """

    plugin: str
    hook: str
    counts: Sequence[int]
    seconds: float
    failures: int = 0
    timeouts: int = 0


class ListStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list: its path, its entries, when it was last read, and why it cannot be read now."""

    path: str
    entries: int
    loaded: float
    problem: str = ""


class TableStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A table with a cache: the keys that were looked up, and the queries for those not cached.

    `cached` and `asked` are numbers of keys, `answered` and `failed` of queries. `seconds` is the
    time of all queries.
    """

    name: str
    cached: int = 0
    asked: int = 0
    answered: int = 0
    failed: int = 0
    seconds: float = 0.0
    unavailable: bool = False


class CertificateStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A certificate: its path, the server names that select it, and when it expires."""

    path: str
    names: Sequence[str]
    expires: float
    problem: str = ""


class DestinationStatus(msgspec.Struct, frozen=True):
    """The queued recipients of one destination.

    `active` are being delivered or are due, `deferred` wait for their next attempt, `held` wait for
    the administrator.
    """

    destination: str
    active: int
    deferred: int
    held: int


class Status(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="status"):
    """The status of a worker.

    `sessions` are all open sessions, `connections` the same by the name of the listener. `lag` is
    the longest delay of the event loop since the last status, in seconds. `memory` is the resident
    set in octets, `cpu` are seconds of user and system time, `files` open file descriptors.
    `dropped` are records that the worker could not pass to the ledger. `dns` are its DNS lookups.
    `oldest` is when the oldest queued message was received, 0 if there is none. `quarantined` are
    messages in quarantine, of `quarantine_octets` octets. `queue`, `oldest` and these two are those
    of the spool files of this worker.
    """

    worker: int
    pid: int
    time: float
    started: float
    version: str = ""
    sessions: int = 0
    connections: Mapping[str, int] = {}
    lag: float = 0.0
    memory: int = 0
    cpu: float = 0.0
    files: int = 0
    store_degraded: bool = False
    dropped: int = 0
    dns: DnsStatus = DnsStatus()
    lists: Sequence[ListStatus] = ()
    tables: Sequence[TableStatus] = ()
    certificates: Sequence[CertificateStatus] = ()
    queue: Sequence[DestinationStatus] = ()
    oldest: float = 0.0
    quarantined: int = 0
    quarantine_octets: int = 0
    hooks: Sequence[HookTimes] = ()
    plugins: Sequence[Series] = ()


class StatusError(ValueError):
    """An encoded status that cannot be read."""


encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder(Status).decode


def decode(data: bytes | memoryview) -> Status:
    """Return an encoded status; raises `StatusError`."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StatusError(f"expected the status of a worker: {error}") from error
