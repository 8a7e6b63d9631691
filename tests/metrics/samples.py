"""Records and statuses for tests, and a hypothesis strategy for arbitrary ones."""

from hypothesis import strategies as st

from gatepost.ledger import records as r
from gatepost.metrics.status import HOOK_BUCKETS, HookTimes, Series, Status, TableStatus
from gatepost.net.dns_status import DnsStatus

CLIENT = r.Client("192.0.2.1", listener="mx")


def connection(**fields):
    return r.Connection(1.0, "a", **{"client": CLIENT, **fields})


def transaction(**fields):
    return r.Transaction(1.0, "a-1", "a", CLIENT, "me@client.example", **fields)


def status(**fields):
    return Status(**{"worker": 1, "pid": 100, "time": 1.0, "started": 1.0, **fields})


def hook(count, *, plugin="p", hook="on_rcpt"):
    counts = [0] * (len(HOOK_BUCKETS) + 1)
    counts[0] = count
    return HookTimes(plugin, hook, counts, count * 1e-6)


def counter(value, name="gatepost_plugin_p_hits", **labels):
    return Series(name, "counter", labels, value)


def histogram(counts, bounds=(1.0, 2.0), name="gatepost_plugin_p_size"):
    return Series(name, "histogram", {}, 1.0, bounds, counts)


_NUMBERS = st.integers(-1, 1 << 60)
_TEXT = st.text(st.characters(), max_size=120)
_NAMES = st.from_regex(r"gatepost_plugin_[a-z_]{1,4}(_total|_sum|_count|_bucket|)", fullmatch=True)
_LABELS = st.dictionaries(st.sampled_from(["a", "b", "worker"]), _TEXT, max_size=2)
SERIES = st.builds(
    Series,
    name=_NAMES,
    kind=st.sampled_from(["counter", "gauge", "histogram"]),
    labels=_LABELS,
    value=st.floats(),
    bounds=st.sampled_from(
        [
            *((), (1.0,), (1.0, 2.0), (0.5, 2.0), (-1.0, 1.0)),
            *((float("inf"),), (1.0, float("inf")), (float("nan"), 1.0), (2.0, 1.0)),
        ]
    ),
    counts=st.lists(st.integers(0, 1 << 40), max_size=4),
)
STATUSES = st.builds(
    Status,
    worker=st.integers(0, 3),
    pid=st.integers(1, 3),
    started=st.floats(0, 3),
    time=st.floats(0, 1e10),
    version=_TEXT,
    sessions=_NUMBERS,
    connections=st.dictionaries(_TEXT, st.integers(0, 100), max_size=3),
    dns=st.builds(
        DnsStatus,
        lookups=st.dictionaries(_TEXT, _NUMBERS, max_size=3),
        evictions=_NUMBERS,
        octets=_NUMBERS,
    ),
    tables=st.lists(st.builds(TableStatus, _TEXT, _NUMBERS, seconds=st.floats()), max_size=3),
    plugins=st.lists(SERIES, max_size=8),
)
RECORDS = st.one_of(
    *(
        st.builds(kind, **fields)
        for kind, fields in (
            (r.Connection, {"end": _TEXT, "client": st.builds(r.Client, listener=_TEXT)}),
            (r.Transaction, {}),
            (r.Delivery, {}),
            (r.Notice, {}),
            (r.Gap, {}),
        )
    )
)
