"""The ledger gives what a plain list gives, after any sequence of events."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.made import (
    START,
    cells,
    connection,
    delivery,
    encoded,
    refusal,
    transaction,
)

from gatepost.ledger.keys import key_text, keys_of
from gatepost.ledger.records import Client, Connection, RecipientRecord, Transaction, decode, encode
from gatepost.ledger.selection import Key, Selection
from gatepost.ledger.store import LedgerReader, LedgerWriter

# Each look-up opens every segment.
MAX_FOUND = 15

names = st.sampled_from(["a", "B", "ü", "", '"x y"', "a.b"])
domains = st.sampled_from(
    ["x.example", "X.EXAMPLE", "bücher.example", "xn--bcher-kva.example", "[192.0.2.1]"]
)
addresses = st.one_of(st.just(""), st.builds("{}@{}".format, names, domains), st.text(max_size=5))
clients = st.sampled_from(
    ["192.0.2.1", "192.0.2.200", "2001:db8::1", "2001:DB8:0::1", "/run/x.sock", ""]
)
times = st.floats(START, START + 20_000)
results = st.sampled_from(["accepted", "refused", "deferred", "abandoned"])

transactions = st.builds(
    transaction,
    st.integers(0, 20),
    time=times,
    client=clients.map(Client),
    sender=addresses,
    result=results,
    recipients=st.lists(addresses.map(RecipientRecord), max_size=4),
    message_id=st.sampled_from(["", "<1@x>", " 1@x ", "2"]),
    answers=st.lists(
        st.builds(refusal, st.sampled_from(["spam", "trap"]), st.sampled_from(["core", "spf"])),
        max_size=2,
    ),
)
connections = st.builds(
    connection,
    st.integers(0, 20),
    time=times,
    client=clients.map(Client),
    reply=st.sampled_from(["", "554 5.7.1 no", "421 4.7.0 later", "221 bye"]),
)
deliveries = st.builds(
    delivery,
    st.integers(0, 20),
    time=times,
    recipients=st.lists(addresses, max_size=3),
    sender=addresses,
)
records = st.one_of(transactions, connections, deliveries)
steps = st.lists(
    st.one_of(
        st.lists(records, min_size=1, max_size=8),
        st.sampled_from(["commit", "maintain", "restart", "kill", "expire"]),
    ),
    max_size=12,
)

selections = st.builds(
    Selection,
    since=st.sampled_from([0.0, START + 5000]),
    until=st.sampled_from([0.0, START + 15_000]),
    keys=st.lists(
        st.sampled_from([Key("domain", "x.example"), Key("network", "192.0.2.0/24")]), max_size=2
    ),
    sender=st.sampled_from(["", "a@x.example", "@X.example", "<>"]),
    to=st.sampled_from(["", "B@x.example", "bücher.example"]),
    client=st.sampled_from(["", "192.0.2.1", "192.0.2.128/25", "2001:db8::/32", "192.0.0.0/16"]),
    results=st.lists(results, max_size=2),
    reason=st.sampled_from(["", "spam"]),
    plugin=st.sampled_from(["", "spf"]),
    kinds=st.lists(st.sampled_from(["connection", "transaction", "delivery"]), max_size=2),
)


class World:
    """A ledger and the list of what was committed and not removed."""

    def __init__(self, base):
        self.base, self.now, self.copies = base, START, 0
        self.folder = base / "0" / "ledger"
        self.committed, self.pending = [], []
        self.writer = self.open()

    def open(self):
        return LedgerWriter(self.folder, 1000.0, 1 << 30, lambda: self.now, segment=15, tail=6)

    def do(self, step):
        if isinstance(step, list):
            self.pending += step
            self.writer.add(encoded(*step))
        else:
            getattr(self, step)()

    def commit(self):
        self.writer.commit()
        self.committed += self.pending
        self.pending = []

    def maintain(self):
        self.writer.maintain()

    def restart(self):
        self.writer.close()
        self.committed += self.pending
        self.pending = []
        self.writer = self.open()

    def kill(self):
        """Go on with a copy of the files: what is only in memory is lost."""
        self.copies += 1
        copy = self.base / str(self.copies) / "ledger"
        shutil.copytree(self.folder, copy)
        self.pending = []
        self.writer.close()
        self.folder = copy
        self.writer = self.open()

    def expire(self):
        """Let all but the newest file expire."""
        self.commit()
        self.now += 10_000
        self.writer.maintain()
        self.now += 10_000
        self.writer.maintain()
        self.committed = []


@pytest.mark.parametrize("last", ["kill", "commit"])
@settings(max_examples=15)
@given(steps, selections)
def test_the_ledger_gives_what_a_list_gives(last, steps, selection):
    with tempfile.TemporaryDirectory() as base:
        world = World(Path(base))
        for step in [*steps, last]:
            world.do(step)
        check(world, selection)
        world.writer.close()


def check(world, selection):
    reader = LedgerReader(world.folder)
    newest_first = [decode(encode(record)) for record in reversed(world.committed)]
    assert list(reader.select(Selection())) == newest_first
    assert list(reader.select(selection)) == [one for one in newest_first if naive(one, selection)]
    texts = {text for record in world.committed for text in keys_of(record)}
    for text in sorted(filter(is_canonical, texts))[:MAX_FOUND]:
        found = reader.find(Key(*text.split(":", 1)), limit=1000)
        assert found == [record for record in newest_first if text in keys_of(record)]
    assert sums(reader.totals(0, 0)) == expected_sums(world.committed)
    assert reader.problems == []


def is_canonical(text):
    """Return whether a key is one of an address with a valid form; plugins can make others."""
    return key_text(Key(*text.split(":", 1))) == text


def sums(totals):
    counts = {name: sum(found.values()) for name, found in totals.counts.items()}
    return {name: number for name, number in counts.items() if name != "plugin_ms"}


def expected_sums(records):
    found = {}
    for (_, dimension), counts in cells(*records):
        found[dimension] = found.get(dimension, 0) + sum(counts.values())
    return {name: number for name, number in found.items() if name != "plugin_ms"}


def naive(record, wanted):
    """The same as `matcher`, by texts of keys and plain loops."""
    keys = keys_of(record)
    is_transaction, is_connection = isinstance(record, Transaction), isinstance(record, Connection)
    if record.time < wanted.since or record.time >= (wanted.until or float("inf")):
        return False
    if wanted.kinds and type(record).__name__.lower() not in wanted.kinds:
        return False
    result = record.result if is_transaction else ""
    if is_connection and record.reply:
        result = {"5": "refused", "4": "deferred"}.get(record.reply[0], "")
    if wanted.results and result not in wanted.results:
        return False
    answers = () if isinstance(record, type(delivery())) else record.answers
    if wanted.reason and wanted.reason not in [one.reason for one in answers]:
        return False
    if wanted.plugin and wanted.plugin not in [one.by for one in answers]:
        return False
    if any(key_text(key) not in keys for key in wanted.keys):
        return False
    return by_client(keys, wanted.client) and by_parties(record, wanted)


NETWORKS = {
    "": lambda _: True,
    "192.0.2.1": lambda keys: "ip:192.0.2.1" in keys,
    "192.0.2.128/25": lambda keys: "ip:192.0.2.200" in keys,
    "2001:db8::/32": lambda keys: "ip:2001:db8::1" in keys,
    "192.0.0.0/16": lambda keys: "network:192.0.2.0/24" in keys,
}


def by_client(keys, client):
    return NETWORKS[client](keys)


def by_parties(record, wanted):
    senders = [] if isinstance(record, Connection) else [record.sender]
    recipients = [] if isinstance(record, Connection) else record.recipients
    recipients = [getattr(one, "address", one) for one in recipients]
    return all(
        not text or any(is_of(address, text) for address in found)
        for text, found in ((wanted.sender, senders), (wanted.to, recipients))
    )


def is_of(address, text):
    keys = keys_of(transaction(sender=address, recipients=[], client=Client("")))
    kind = "address" if "@" in text[1:] or text == "<>" else "domain"
    return key_text(Key(kind, text)) in keys
