"""Stores and messages for tests of the spool."""

import contextlib

from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.queue.spool.records import (
    AttemptResult,
    MessageFacts,
    NewMessage,
    NewRecipient,
    RecipientFacts,
)
from gatepost.queue.spool.sql.schema import CHUNK_BITS
from gatepost.queue.spool.store import Store

SIZE = 1 << 30
HORIZON = 100_000.0
NOW = 1_700_000_000.0
EXPIRES = NOW + 5 * 86400
CLIENT = Endpoint("192.0.2.1", 40000)


def never_suspended(destination):
    return 0.0


def open_store(path, *, size=SIZE, suspended_until=never_suspended):
    return Store(path, size=size, horizon=HORIZON, suspended_until=suspended_until)


@contextlib.contextmanager
def store_at(path, **options):
    made = open_store(path, **options)
    try:
        yield made
    finally:
        made.close()


def facts(ref="s-1.1", sender="sender@example.net", **more):
    reverse_path = Address.parse(sender) if sender else Address("", "")
    here = Endpoint("192.0.2.9", 25)
    return MessageFacts(ref, reverse_path, NOW, "s-1", CLIENT, here, NOW, **more)


def recipient(address="user@example.com", destination="one", due=NOW, **more):
    parsed = Address.parse(address)
    known = RecipientFacts(parsed, {}, parsed.local, parsed.domain)
    return NewRecipient(known, destination, due, **more)


def new_message(*recipients, content=b"Subject: x\r\n\r\nHello\r\n", of=None, event=None):
    return NewMessage(
        facts=of or facts(),
        recipients=recipients or (recipient(),),
        pieces=[content] if isinstance(content, bytes) else content,
        size=len(content) if isinstance(content, bytes) else sum(map(len, content)),
        received=NOW,
        expires=EXPIRES,
        event=event,
    )


@contextlib.contextmanager
def committed(store):
    store.begin()
    try:
        yield store
        store.commit()
    except BaseException:
        store.roll_back()
        raise


def put(store, *new_messages):
    with committed(store):
        return [store.put(one) for one in new_messages]


def delivered(job):
    ids = [one.id for one in job.recipients]
    return AttemptResult(job.message, [job.destination], delivered=ids)


class Claims:
    """The jobs in progress, as a set of (message, destination); `limit` per destination."""

    def __init__(self, limit=20):
        self.limit = limit
        self.taken = set()
        self.turns = {}
        self.reopened = []

    def room(self, destination, now):
        return self.limit - self.rank(destination)[0]

    def rank(self, destination):
        load = sum(name == destination for _, name in self.taken)
        return load, self.turns.get(destination, 0)

    def has(self, message, destination):
        return (message, destination) in self.taken

    def reopen(self, destination):
        self.reopened.append(destination)


def take(store, now=NOW, *, total=100, claims=None):
    """Take jobs and claim them."""
    claims = Claims() if claims is None else claims
    with committed(store):
        taken = store.take(now, total, claims)
    claims.taken |= {(job.message, job.destination) for job in taken.jobs}
    return taken.jobs


def record(store, *results):
    with committed(store):
        for one in results:
            store.record(one)


def content(store, job):
    return b"".join(store.reader.pieces(job.message, job.size, job.first, job.digest))


def flip_bit(connection, message=1, piece=0, at=0):
    """Flip a bit of the content, as a failing disk does it: without an error."""
    number = (message << CHUNK_BITS) + piece
    ((octets,),) = connection.execute("SELECT data FROM content WHERE id = ?", (number,))
    damaged = bytearray(octets)
    damaged[at] ^= 4
    connection.execute("UPDATE content SET data = ? WHERE id = ?", (bytes(damaged), number))
