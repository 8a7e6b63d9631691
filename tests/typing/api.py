"""Typed usage of the public API: `mypy --strict` must accept every line.

This file is checked, not run. `assert_type` pins the types that a user of the API sees.
"""

import asyncio
from pathlib import Path
from typing import ClassVar, assert_type

import gatepost
from gatepost import (
    Address,
    AddressList,
    Asked,
    AuthAttempt,
    Config,
    Decision,
    DomainList,
    Duration,
    Endpoint,
    File,
    Headers,
    Lookup,
    Message,
    MessageTransaction,
    MetricsSnapshot,
    NetworkList,
    NoSuchNameError,
    Outcome,
    Plugin,
    Recipient,
    RegexList,
    Reply,
    ResolveError,
    Resolver,
    Secret,
    ServerFacts,
    Session,
    Size,
    Store,
    StoreError,
    Taken,
    Transaction,
    Verb,
    accept,
    defer,
    deny,
    field,
    local,
    together,
    unknown,
)
from gatepost.testing import (
    FakeResolver,
    MemoryServer,
    MemoryStore,
    RunningServer,
    VirtualClock,
    perform,
    play,
    play_async,
)


async def use_store(store: Store) -> None:
    assert_type(await store.get("key"), str | int | None)
    assert_type(await store.add("key", "value", ttl=60), bool)
    assert_type(await store.incr("key", 2, ttl=1.5), int)
    try:
        assert_type(await store.take("key", rate=1, burst=10), Taken)
    except StoreError:
        return
    async with store.batch() as batch:
        count, found = batch.incr("key"), batch.get("key")
    assert_type(count.value, int)
    assert_type(found.value, str | int | None)


class Synchronous(Plugin):
    class Options(Plugin.Options):
        day: int = 0
        users: tuple[str, ...] = ()

    before = ("asynchronous",)

    def start(self) -> None:
        self.users = frozenset(self.options.users)

    def observe_rcpt(self, tx: Transaction, rcpt: Recipient) -> None:
        tx.notes["last"] = rcpt.user

    def on_rcpt(self, transaction: Transaction, recipient: Recipient) -> Decision | None:
        assert_type(self.options.day, int)
        assert_type(self.options_for(recipient).day, int)
        assert_type(self.options_for("example.com").users, tuple[str, ...])
        assert_type(self.options.users, tuple[str, ...])
        if transaction.received_at.weekday() == self.options.day:
            return deny("closed today", code=550, enhanced="5.7.1", reason="closed")
        return None

    def after_rcpt(self, tx: Transaction, rcpt: Recipient, outcome: Outcome) -> None:
        assert_type(outcome.reply, Reply)
        if outcome.answer is not None:
            assert_type(outcome.answer.by, str)
            assert_type(outcome.answer.decision, Decision)

    def on_ehlo(self, session: Session, keywords: list[str]) -> None:
        keywords.append("XTEST")

    def on_disconnect(self, session: Session) -> None:
        assert_type(session.peer.host, str)


class Asynchronous(Plugin):
    after = ("synchronous",)
    blocking = False

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def stop(self) -> None:
        await asyncio.sleep(0)

    async def on_auth(self, session: Session, attempt: AuthAttempt) -> Decision:
        return accept() if attempt.password == "secret" else deny()

    async def on_mail(self, tx: Transaction, sender: Address) -> Decision | None:
        await self.clock.sleep(1)
        return defer("later") if not sender else None

    async def on_headers(self, tx: Transaction, headers: Headers) -> Decision | None:
        assert_type(headers.get("Subject"), str | None)
        return None

    async def after_mail(self, tx: Transaction, sender: Address, outcome: Outcome) -> None:
        self.log.info("outcome", code=outcome.reply.code)


class Derived(Synchronous):
    """A plugin with more options than its base class."""

    class Options(Synchronous.Options):
        limit: float = 0.5

    def on_data(self, tx: Transaction) -> Decision | None:
        assert_type(self.options.limit, float)
        assert_type(self.options.day, int)
        return None


class Kinds(Plugin):
    """Every kind of option."""

    class Options(Plugin.Options):
        required: Duration
        timeout: Duration = Duration("5m")
        most: Size = Size("25MiB")
        password: Secret = Secret("")
        template: File = File("template.txt")
        folder: Path = Path("folder")
        blocked: AddressList = AddressList("spam@example.com", "file:blocked")
        domains: DomainList = DomainList()
        networks: NetworkList = NetworkList("192.0.2.0/24")
        words: RegexList | None = None
        zones: tuple[str, ...] = ("bl.example",)
        weights: dict[str, int] = field(default_factory=dict)

    async def on_mail(self, tx: Transaction, sender: Address) -> Decision | None:
        assert_type(self.options.timeout, Duration)
        assert_type(self.options.most, Size)
        assert_type(self.options.password, Secret)
        assert_type(self.options.template, File)
        assert_type(self.options.folder, Path)
        assert_type(self.options.blocked, AddressList)
        assert_type(self.options.domains, DomainList)
        assert_type(self.options.networks, NetworkList)
        assert_type(self.options.words, RegexList | None)
        assert_type(self.options.zones, tuple[str, ...])
        assert_type(self.options.weights, dict[str, int])
        await self.clock.sleep(self.options.timeout)
        text: str = self.options.password
        octets: int = self.options.most + len(text)
        if tx.message is not None and tx.message.size > octets:
            return deny(self.options.template.read_text())
        return None

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        assert_type(self.options.blocked.match(rcpt), str | None)
        listed = rcpt in self.options.blocked or rcpt.address in self.options.blocked
        listed = listed or rcpt.domain in self.options.domains
        listed = listed or tx.session.peer in self.options.networks
        if self.options.words is not None:
            listed = listed or rcpt.user in self.options.words
        return deny() if listed else None

    async def on_connect(self, session: Session) -> Decision | None:
        assert_type(self.resolver, Resolver)
        try:
            assert_type(await self.resolver.txt("example.com"), list[str])
            assert_type(await self.resolver.mx("example.com"), list[tuple[int, str]])
            assert_type(await self.resolver.ptr(session.peer.host), list[str])
            codes = await self.resolver.listed(session.peer, "bl.example")
            await together(self.resolver.a("a.example"), self.resolver.mx("a.example"), until=bool)
        except NoSuchNameError:
            return None
        except ResolveError as error:
            return defer(str(error))
        assert_type(codes, list[str] | None)
        assert_type(self.path("x"), Path)
        assert_type(self.data_dir, Path)
        return deny() if codes else None


class Local(Plugin):
    async def on_lookup(self, tx: Transaction, rcpt: Recipient) -> Lookup | None:
        if rcpt.domain != "tenant.example":
            return None
        return local() if rcpt.user == "a" else unknown("gone")


class Adding(Plugin):
    commands: ClassVar = {"XSTATUS": Verb(junk=False, max_arguments=1)}
    mail_parameters: ClassVar = {"XFOO"}
    rcpt_parameters = ("XBAR",)

    def on_command(self, session: Session, verb: str, text: str) -> Decision | None:
        return accept(text, code=211) if verb == "XSTATUS" else None

    def on_noop(self, session: Session, text: str) -> None:
        self.log.info("noop", text=text, extended=session.extended)


class Watching(Plugin):
    def on_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        assert_type(reply.reference, str)

    async def on_limit(self, peer: Endpoint, limit: str, reply: Reply) -> None:
        await self.clock.sleep(1)

    def on_timeout(self, session: Session, limit: str) -> None:
        assert_type(session.in_relay_network, bool)

    def after_any(
        self, hook: str, session: Session, tx: Transaction | None, outcome: Outcome
    ) -> None:
        for one in outcome.asked:
            assert_type(one, Asked)
            assert_type(one.seconds, float)


class Empty(Plugin):
    def on_quit(self, session: Session) -> None:
        assert_type(self.options, Plugin.Options)


def load_configuration() -> Config:
    assert_type(gatepost.load_config("gatepost.toml"), Config)
    return gatepost.config_from_dict({"recipients": {"domains": ["example.com"]}})


async def serve(config: Config) -> None:
    async with gatepost.Server(config, plugins=[Synchronous(day=1), Asynchronous()]) as server:
        assert_type(server.addresses, list[tuple[str, str]])


async def connect() -> None:
    async with MemoryServer([Derived(limit=1.5)], clock=VirtualClock("2024-01-01")) as server:
        client = server.connect(("192.0.2.1", 1), "lmtp")
        await perform(client, "S: 220")
        client.send(b"QUIT\r\n")
        assert_type(await client.reply(), str)
        await client.close()


def check_dialogue() -> None:
    resolver: Resolver = FakeResolver(a={"a.example": "192.0.2.1"}, txt={"a.example": ["x"]})
    result = play("S: 220", [Empty()], traps=["trap@example.com"], now="2024-01-01")
    play("S: 220", [Kinds(required="1s")], resolver=resolver)
    assert_type(result.replies, list[str])
    assert_type(result.messages[0].content, bytes)
    with RunningServer([Empty()], protocol="smtp") as server:
        assert_type(server.address, tuple[str, int])


class WithMessage(Plugin):
    """The hooks from `headers` on have a message, so nothing is tested for None."""

    def start(self) -> None:
        assert_type(self.server, ServerFacts)
        self.hits = self.metrics.counter("hits", reason="new")
        self.every("5m", self.expire, one_worker=True)
        self.every(60, self.count)
        self.background(self.expire())

    async def expire(self) -> None:
        assert_type(self.store, Store)
        await self.store.delete("key")

    def count(self) -> None:
        self.hits.inc()
        self.metrics.gauge("size").set(1)
        self.metrics.histogram("seconds", buckets=(0.1, 1), zone="a").observe(0.5)

    def on_headers(self, tx: MessageTransaction, headers: Headers) -> None:
        tx.message.add_header("X-Seen", "yes")

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        self.log_for(tx).info("size", sender=tx.reverse_path)
        return deny() if len(bytes(tx.message)) > 10 else None

    def after_message(self, tx: Transaction, outcome: Outcome) -> None:
        self.log_for(tx.session).info("done")

    def on_delivered(self, tx: MessageTransaction) -> None:
        assert_type(tx.message, Message)


async def check_asynchronous_dialogue() -> None:
    store = MemoryStore()
    store.put("mine", "key", 1, ttl=60)
    result = await play_async("S: 220", [WithMessage()], store=store)
    assert_type(result.metrics, MetricsSnapshot)
    assert_type([one.reason for one in result.decisions], list[str])
    assert_type(store.values("mine"), dict[str, str | int])


class Editing(Plugin):
    def on_message(self, tx: Transaction) -> None:
        message = tx.message
        if message is not None:
            assert_type(message.remove_header("X-Spam", lambda value: value == "yes"), int)
            assert_type(message.replace_header("Subject", "x"), int)
            message.add_header("X", "1", first=False)
            message.replace_body([b"text\r\n"])
            assert_type(message.headers(), Headers)
            assert_type([edit.by for edit in message.edits], list[str])
