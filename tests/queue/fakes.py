"""Targets and routers for tests of the queue: scripted, and recording every delivery."""

import asyncio

from tests.waiting import until

from gatepost.config import schema
from gatepost.config.relay import RelayFor
from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import DeliveryError
from gatepost.delivery.target import Target as BaseTarget
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.queue.queue import Queue
from gatepost.testing import VirtualClock

UNTRUSTED = Endpoint("192.0.2.1", 40000)
LOCAL = Endpoint("127.0.0.1", 40000)
CONTENT = b"Subject: x\r\nX-Y: z\r\n\r\nHello\r\n"
REFUSED = DeliveryError("Refused", permanent=True, reply=Reply(550, "No such user", "5.1.1"))
LATER = DeliveryError("Later", reply=Reply(451, "Busy", "4.3.2"))
DEAD = DeliveryError("Dead", detail="connection refused")


class Target(BaseTarget):
    """Accepts messages; each domain is a destination.

    `answers` are the answers of a domain: an error to raise, an event to wait for, or failures to
    return. A list has one for each attempt; the last one repeats.
    """

    def __init__(self, answers=None):
        self.answers = answers or {}
        self.delivered = []
        self.tried = []
        self.active = {}
        self.peak = {}

    def destination(self, recipient):
        return recipient.domain

    async def deliver(self, delivery):
        domain = delivery.recipients[0].domain
        addresses = [str(one.address) for one in delivery.recipients]
        self.tried.append((domain, delivery.transaction.id))
        self.active[domain] = self.active.get(domain, 0) + 1
        self.peak[domain] = max(self.peak.get(domain, 0), self.active[domain])
        try:
            failures = await self._answer(domain, delivery)
        finally:
            self.active[domain] -= 1
        failed = {str(one.address) for one in failures}
        accepted = [one for one in addresses if one not in failed]
        if accepted:
            self.delivered.append((delivery.transaction.id, accepted, bytes(delivery.message)))
        return failures

    async def _answer(self, domain, delivery):
        answer = self.answers.get(domain)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return {}
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, dict):
            return {
                one: answer[str(one.address)]
                for one in delivery.recipients
                if str(one.address) in answer
            }
        await asyncio.sleep(0)
        return {}

    def refs(self):
        return [ref for ref, _, _ in self.delivered]


def router(target, patterns=("*",), *, relays=False):
    route = Route(target, "fake:", "queue", relay_for=RelayFor(relays))
    return Router([(patterns, route)], hostname="mx.example.com")


class Clock(VirtualClock):
    """A clock that only a test moves."""

    def move(self, seconds):
        self._time += seconds


def transaction(ref="s-1.1", sender="sender@example.net", peer=UNTRUSTED, params=None, **session):
    facts = Session("s-1", peer, Endpoint("192.0.2.9", 25), 1.0, helo="client.example", **session)
    reverse_path = Address.parse(sender) if sender else Address("", "")
    return Transaction(ref, facts, reverse_path, params or {}, 1.0)


def recipient(text, **params):
    address = Address.parse(text)
    return Recipient(address, params, address.local, address.domain)


def message(content=CONTENT):
    made = Message(1_000_000)
    made.write(content)
    return made


FOREIGN = ("elsewhere.example",)


class Bench:
    """A queue with a target, driven by hand: nothing happens outside of `run_until_idle`."""

    def __init__(self, folder, target=None, *, patterns=("*",), relays=False, clock=None, **config):
        options = {
            name: config.pop(name)
            for name in ("added_fields", "quarantine", "recorder")
            if name in config
        }
        self.folder = folder
        self.target = target or Target()
        self.clock = clock or Clock()
        self.queue = Queue(
            schema.QueueConfig(**config),
            folder / "spool",
            router(self.target, patterns, relays=relays),
            self.clock,
            hostname="mx.example.com",
            subaddress="+",
            is_local=lambda domain: domain not in FOREIGN,
            interval=None,
            **options,
        )

    async def __aenter__(self):
        await self.queue.start()
        return self

    async def __aexit__(self, *exc):
        await self.queue.stop(5)

    @property
    def runner(self):
        return self.queue.files[0].runner

    async def put(
        self, *addresses, failures=None, content=CONTENT, edit=None, hold=None, **options
    ):
        recipients = [recipient(one) if isinstance(one, str) else one for one in addresses]
        tx = transaction(**options)
        named = {str(one.address): one for one in recipients}
        failed = {named[address]: error for address, error in (failures or {}).items()}
        made = message(content)
        if edit is not None:
            made.complete()
            edit(made)
        await self.queue.put(tx, recipients, made, failed, hold=hold)

    async def in_store(self, job):
        """Run a job in the store of the queue's own file."""
        return await self.runner.spool.writer.submit(job)

    async def run_until_idle(self, seconds=0.0):
        """Move the clock, then let the queue do everything that is due."""
        self.clock.move(seconds)
        idle = 0
        while idle < 3:
            self.runner.tick()
            before = len(self.target.tried)
            await self.in_store(lambda store: None)
            for _ in range(10):
                await asyncio.sleep(0)
            is_quiet = len(self.target.tried) == before and not self.runner.has_turn_pending
            idle = idle + 1 if is_quiet else 0

    async def rows(self, query):
        return await self.in_store(lambda store: store.connection.execute(query).fetchall())

    async def queued(self):
        return await self.rows("SELECT count(*) FROM recipient WHERE due IS NOT NULL")

    async def held(self):
        return await self.rows("SELECT address, reply, reason FROM recipient WHERE due IS NULL")


async def recovered(bench):
    """Wait until no damaged file is left to recover."""
    await until(lambda: all(one.recovery.is_idle for one in bench.queue.files))


def run(folder, scenario, *args, **options):
    async def main():
        async with Bench(folder, *args, **options) as bench:
            return await scenario(bench)

    return asyncio.run(asyncio.wait_for(main(), 120))
