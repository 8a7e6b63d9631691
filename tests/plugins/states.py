"""Stores, transactions and transcripts for the tests of plugins with state."""

from gatepost import Address, Plugin, Recipient, Session, Transaction, accept
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import AuthFacts
from gatepost.store.errors import StoreError
from gatepost.store.guarded import GuardedBackend
from gatepost.store.memory import MemoryBackend
from gatepost.store.operations import Get
from gatepost.store.store import OpenedStore
from gatepost.testing import VirtualClock

PATIENT = 60.0
# The operations of a batch that fails in the trouble "large".
LARGE = 50

OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
"""
SEND = """
    C: DATA
    S: 354
    C: Subject: hello
    C:
    C: text
    C: .
    S: 250
"""
# A password that `Login` accepts: NUL user NUL password.
LOGIN = OPEN + "C: AUTH PLAIN AEFsaWNlAHNlY3JldA==\nS: 235\n"
WITH_AUTH = {"auth": {"clear": True}, "listen": [{"auth": True}]}


class Login(Plugin):
    """Accept every password."""

    def on_auth(self, session, attempt):
        return accept()


class Add(Plugin):
    """Add results at a hook, each as (name, value, facts), as other plugins do."""

    before = ("concurrency", "greylist", "rate_limit", "reputation")

    class Options(Plugin.Options):
        connect: tuple = ()
        mail: tuple = ()
        message: tuple = ()

    def on_connect(self, session):
        for name, value, facts in self.options.connect:
            session.results.add(name, value, **facts)

    def on_mail(self, tx, sender):
        for name, value, facts in self.options.mail:
            tx.results.add(name, value, **facts)

    def on_message(self, tx):
        for name, value, facts in self.options.message:
            tx.results.add(name, value, **facts)


class Results(Plugin):
    """Keep the results of each transaction."""

    after = ("concurrency", "greylist", "rate_limit", "reputation")

    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def on_reset(self, tx):
        self.seen.append(tx.results)

    def on_delivered(self, tx):
        self.seen.append(tx.results)

    def of(self, name):
        """Return the last results of a name as (value, facts)."""
        return [(one.value, dict(one.facts)) for one in self.seen[-1].all(name)]


class Troubled:
    """A store in memory with a trouble.

    It is "down", "late" (it writes, then fails), "read-only", or fails for "large" batches.
    """

    def __init__(self, clock):
        self._memory = MemoryBackend(clock=clock)
        self.trouble = ""

    async def execute(self, namespace, operations):
        if self.trouble == "down":
            raise StoreError("down")
        if self.trouble == "large" and len(operations) > LARGE:
            raise StoreError("too large")
        writes = any(not isinstance(one, Get) for one in operations)
        if self.trouble == "read-only" and writes:
            raise StoreError("read-only")
        results = await self._memory.execute(namespace, operations)
        if self.trouble == "late":
            raise StoreError("no reply in time")
        return results

    async def start(self):
        pass

    async def close(self):
        pass


class TroubledStore(OpenedStore):
    """A store that fails in the way of `trouble`; its breaker uses the clock of the test."""

    def __init__(self, trouble=""):
        self.clock = VirtualClock()
        self._troubled = Troubled(self.time)
        guarded = GuardedBackend(self._troubled, name="test", clock=self.time, monotonic=self.time)
        super().__init__(guarded, "test")
        self.trouble(trouble)

    def time(self):
        return self.clock.time()

    def trouble(self, kind):
        self._troubled.trouble = kind


class Trouble(Plugin):
    """Change the trouble of a store when the client sends NOOP with its name, "no" for none."""

    def __init__(self, store):
        super().__init__()
        self._store = store

    def on_noop(self, session, text):
        self._store.trouble("" if text == "no" else text)


def troubled(kind):
    return f"    C: NOOP {kind}\n    S: 250\n"


def mail(reply=250, sender="a@client.example", rcpt="user@example.com"):
    return f"""
    C: MAIL FROM:<{sender}>
    S: 250
    C: RCPT TO:<{rcpt}>
    S: {reply}
    C: RSET
    S: 250
"""


def message(sender="a@client.example", rcpt="user@example.com", end=250):
    sent = SEND.replace("S: 250", f"S: {end}")
    return f"""
    C: MAIL FROM:<{sender}>
    S: 250
    C: RCPT TO:<{rcpt}>
    S: 250
{sent}"""


def make_session(host="192.0.2.1", user="", number=0):
    peer, local = Endpoint(host, 50000), Endpoint("198.51.100.1", 25)
    auth = AuthFacts(user, "PLAIN") if user else None
    return Session(f"5f2c81d0-{number}", peer, local, 0.0, notes={}, auth=auth)


def make_transaction(sender="a@client.example", session=None):
    path = Address.parse(sender) if sender else Address("", "")
    session = session or make_session()
    return Transaction(f"{session.id}.1", session, path, {}, 0.0, notes={})


def make_recipient(address="user@example.com"):
    parsed = Address.parse(address)
    return Recipient(parsed, {}, parsed.local, parsed.domain)
