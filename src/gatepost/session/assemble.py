"""From configuration to setup: load lists, find plugins, make targets.

Every error of a configuration beyond its syntax is raised here, before the first client connects.
`load_lists` reads files and blocks; nothing else touches the disk.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gatepost.allow.file import AllowFile
from gatepost.auth.authority import Authority
from gatepost.auth.users import UsersFile
from gatepost.config.plugins import ConditionsConfig, PluginConfig
from gatepost.config.schema import Config
from gatepost.delivery.registry import RouteConfigError, make_router
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Target
from gatepost.ledger.privacy import Privacy, load_key
from gatepost.lists.addresses import AddressList, ListSource
from gatepost.lists.domains import DomainList
from gatepost.lists.file import DomainFile, ListFile
from gatepost.lists.reloadable import ListError
from gatepost.lists.senders import SenderFile, SenderList
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import domain_key
from gatepost.model.reply import Reply
from gatepost.net.cached_resolver import CachedResolver
from gatepost.net.resolver import DnsResolver, Resolver
from gatepost.net.tls import KeyPair, TlsError
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.clock import Clock, SystemClock
from gatepost.plugin.host import PluginError, PluginHost
from gatepost.plugin.lifting import AllowSource, Lifting
from gatepost.plugin.loader import PluginOptionsError, load_plugin
from gatepost.plugin.lookups import Lookups
from gatepost.plugin.order import OrderError
from gatepost.plugin.place import Place
from gatepost.plugin.scope import Conditions, Scope
from gatepost.plugin.server_facts import ServerFacts, TrapRefusal
from gatepost.plugin.services import Services
from gatepost.queue.recording import Keep
from gatepost.registry.file import FileRegistry
from gatepost.registry.registry import Registry
from gatepost.session.destinations import Destinations
from gatepost.session.dialect import DIALECTS
from gatepost.session.log import LogRecorder
from gatepost.session.notices import NoticeRecorder
from gatepost.session.recorder import Recorder
from gatepost.session.recording import RecordMaker, fan_out
from gatepost.session.setup import Setup
from gatepost.session.steps.callahead import uses_call_ahead
from gatepost.session.steps.offer import keywords
from gatepost.session.submission import Submission
from gatepost.session.traps.rule import TrapRule
from gatepost.store.opening import StoreUrlError, open_store
from gatepost.store.store import OpenedStore
from gatepost.tables.known import KnownTables, open_known_tables
from gatepost.tables.table import Table, TableError
from gatepost.tables.tables import Tables
from gatepost.traps.many_unknown import ManyUnknown
from gatepost.traps.table import TrapTable
from gatepost.traps.verdicts import Cell, Standing, TrapClass, Treatment


class SetupError(Exception):
    """A well-formed configuration that cannot be used; one line for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Lists(msgspec.Struct, eq=False):
    """The lists of a configuration, the registry, what is allowed, and the files to watch besides.

    `allowed` is an `AllowFile`, or an `AllowList` in tests.
    """

    domains: list[Any]
    known: list[ListSource]
    traps: list[ListSource]
    trusted: list[SenderFile | SenderList]
    users: UsersFile | None
    registry: Registry
    allowed: AllowSource
    files: list[Any]

    @property
    def all_files(self) -> list[Any]:
        """The files to read and to watch."""
        allowed = [self.allowed] if isinstance(self.allowed, AllowFile) else []
        return [*self.files, *self.registry.files, *allowed]

    def lifting(self, clock: Clock) -> Lifting:
        """Return what is allowed, for plugins and traps."""
        return Lifting(self.allowed, clock)


def find_lists(config: Config) -> Lists:
    """Return the configuration's lists; their files are not read yet."""
    inline_domains, domain_paths = config.sources(config.recipients.domains)
    inline_known, known_paths = config.known_sources
    cache = config.data_dir / "cache"
    domain_files = [DomainFile(path) for path in domain_paths]
    known_files = [ListFile(path, cache) for path in known_paths]
    trap_files = [ListFile(config.path(name), cache) for name in config.traps.lists]
    inline_trusted, trusted_paths = config.sources(config.traps.trusted)
    trusted_files = [SenderFile(path) for path in trusted_paths]
    trusted: list[SenderFile | SenderList] = list(trusted_files)
    if inline_trusted:
        trusted.insert(0, SenderList.from_lines(inline_trusted, "traps.trusted"))
    domains: list[Any] = list(domain_files)
    known: list[ListSource] = list(known_files)
    if inline_domains:
        domains.insert(0, DomainList.from_lines(inline_domains, "recipients.domains"))
    if inline_known:
        known.insert(0, AddressList.from_lines(inline_known, "recipients.known"))
    users = UsersFile(config.path(config.auth.users)) if config.auth.users else None
    registry = FileRegistry(config.data_dir)
    files: list[Any] = [*domain_files, *known_files, *trap_files, *trusted_files]
    files += filter(None, (users,))
    allowed = AllowFile(config.data_dir)
    return Lists(domains, known, list(trap_files), trusted, users, registry, allowed, files)


def load_lists(lists: Lists, *, late_traps: bool = False) -> None:
    """Read every list file and the registry; raises `SetupError` that names all unreadable ones.

    With `late_traps`, very big trap lists are only begun. Other lists are complete: without a list
    of users, mail for them would be refused.
    """
    begun = lists.traps if late_traps else []
    files = lists.all_files
    _read_each([file.begin if file in begun else file.load for file in files])


def load_files(files: Iterable[Any]) -> None:
    """Read list files; raises `SetupError` that names all unreadable ones."""
    _read_each([file.load for file in files])


def _read_each(reads: Iterable[Callable[[], None]]) -> None:
    problems = []
    for read in reads:
        try:
            read()
        except ListError as error:
            problems.append(str(error))
    if problems:
        raise SetupError(problems)


def add_plugin_lists(lists: Lists, plugins: PluginHost) -> list[Any]:
    """Add the list files in the options of plugins to `lists`; return them, still to be read."""
    options = [one.plugin.all_options for one in plugins.installed]
    files = list(dict.fromkeys(file for one in options for file in one.list_files()))
    lists.files += files
    return files


def missing_plugin_files(plugins: PluginHost) -> list[str]:
    """Return the problems of files in the options of plugins that do not exist."""
    given = [one.plugin for one in plugins.installed]
    return [text for one in given for text in one.all_options.missing_files(one.config_place)]


def load_plugin_files(lists: Lists, plugins: PluginHost) -> None:
    """Add the list files of plugins to `lists` and read them; raises `SetupError`."""
    missing = missing_plugin_files(plugins)
    if missing:
        raise SetupError(missing)
    load_files(add_plugin_lists(lists, plugins))


def load_key_pairs(pairs: Sequence[KeyPair]) -> None:
    """Read every certificate and key; raises `SetupError` that names all unusable ones."""
    problems = []
    for pair in pairs:
        try:
            pair.load()
        except TlsError as error:
            problems.append(str(error))
    if problems:
        raise SetupError(problems)


def load_plugins(config: Config) -> list[Installed]:
    """Find and create every plugin; raises `SetupError` that names all unusable ones."""
    installed, problems = [], []
    files: dict[tuple[type, Path], Any] = {}
    for number, use in enumerate(config.plugin):
        key = f"plugin[{number}].options"
        # The number alone is hard to find in a file with many plugins.
        source = f"{config.source}: {use.name or Path(use.use).stem}"
        place = Place(config.base, config.data_dir, source, key, files)
        try:
            plugin = load_plugin(use.use, use.options, place, use.name, use.options_for)
            installed.append(install(plugin, use))
        except PluginOptionsError as error:
            problems += error.problems
        except PluginError as error:
            problems.append(str(error))
    if problems:
        raise SetupError(problems)
    return installed


def install(plugin: Plugin, use: PluginConfig) -> Installed:
    """Return a plugin with the rest of its configuration."""
    only, unless = _conditions(use.only), _conditions(use.unless)
    scope = Scope(frozenset(use.listen), only, unless)
    return Installed(
        plugin,
        use.on_error,
        use.timeout,
        use.threads,
        use.action == "log",
        None if scope == Scope() else scope,
        use.allowed,
    )


def _conditions(found: ConditionsConfig | None) -> Conditions | None:
    if found is None:
        return None
    domains = frozenset(map(domain_key, found.domains))
    return Conditions(found.authenticated, found.networks, domains, found.results)


def make_resolver(config: Config) -> CachedResolver:
    """Return a resolver; it opens no socket before the first lookup."""
    dns = config.dns
    return CachedResolver(DnsResolver(dns.servers, dns.timeout), dns.cache_size)


def make_store(config: Config, clock: Clock) -> OpenedStore:
    """Return the store of a worker; it is opened by its first operation. Raises `SetupError`."""
    store = config.store
    try:
        return open_store(
            store.url,
            folder=config.data_dir / "store",
            prefix=store.prefix,
            timeout=store.timeout,
            clock=clock.time,
        )
    except StoreUrlError as error:
        raise SetupError([str(error)]) from error


def make_setup(
    config: Config,
    lists: Lists,
    plugins: Sequence[Plugin | Installed] = (),
    clock: Clock | None = None,
    folder: Path | None = None,
    *,
    recorder: Recorder | None = None,
    records: Keep | None = None,
    targets: Mapping[str, type[Target]] | None = None,
    resolver: Resolver | None = None,
    store: OpenedStore | None = None,
    tables: Mapping[str, Table] | None = None,
    worker: int = 0,
) -> Setup:
    """Return the setup of a worker; `plugins` come after those of the configuration.

    `folder` is for messages too large for memory. Facts go to the log unless there is a `recorder`.
    `records` is called with each record of the ledger. `targets` are delivery targets by scheme, in
    addition to those of Gatepost and of installed packages. `resolver` is for routes and plugins,
    `store` for plugins, by default those of the configuration. `tables` are used instead of those
    of the configuration with the same specification. `worker` is the number of the worker. Raises
    `SetupError`.
    """
    clock = SystemClock() if clock is None else clock
    resolver = make_resolver(config) if resolver is None else resolver
    store = make_store(config, clock) if store is None else store
    services = Services(
        *(clock, resolver, config.data_dir, store, _facts(config, lists, worker)),
        *(lists.registry, tuple(lists.known), *_open_tables(config, clock, tables)),
    )
    installed = _install_all(config, plugins, services)
    host, router = _host_and_router(config, installed, targets, resolver, lists.lifting(clock))
    setup = Setup(
        hostname=config.server.hostname,
        limits=config.limits,
        domains=tuple(lists.domains),
        known=services.known,
        subaddress=config.recipients.subaddress,
        traps=_trap_rule(config, lists, lists.lifting(clock)),
        plugins=host,
        router=router,
        calls_ahead=uses_call_ahead(router),
        clock=clock,
        recorder=_recorder(config, recorder, records, host, clock),
        folder=folder,
        greetings=_greetings(config),
        keywords=keywords(config.limits),
        helo=Reply(250, config.server.hostname),
        offers={},
        destinations=Destinations(router, config.recipients.subaddress, config.limits.recipients),
        registry=lists.registry,
        tables=services.tables,
        authority=_authority(config, lists, host),
        lookups=_lookups(config, host, clock),
        known_tables=services.known_tables,
        refusal_delay=config.smtp.refusal_delay,
    )
    _add_outbox(installed, setup)
    return setup


def _greetings(config: Config) -> dict[str, Reply]:
    hostname = config.server.hostname
    return {name: dialect.greeting(hostname) for name, dialect in DIALECTS.items()}


def _host_and_router(
    config: Config,
    installed: Sequence[Installed],
    targets: Mapping[str, type[Target]] | None,
    resolver: Resolver,
    lifting: Lifting,
) -> tuple[PluginHost, Router]:
    """Return the plugins' host and the routes; raises `SetupError`."""
    base, hostname = config.base, config.server.hostname
    try:
        host = PluginHost(installed, config.limits.hook_timeout, lifting)
        router = make_router(
            config.route, base=base, hostname=hostname, targets=targets, resolver=resolver
        )
    except RouteConfigError as error:
        raise SetupError(error.problems) from error
    except (PluginError, OrderError, ValueError) as error:
        raise SetupError([str(error)]) from error
    return host, router


def _add_outbox(installed: Sequence[Installed], setup: Setup) -> None:
    outbox = Submission(setup)
    for one in installed:
        one.plugin.outbox = outbox


def _install_all(
    config: Config, plugins: Sequence[Plugin | Installed], services: Services
) -> list[Installed]:
    """Return the plugins of the configuration and `plugins`, with their services and tables.

    Raises `SetupError`.
    """
    given = [one if isinstance(one, Installed) else Installed(one) for one in plugins]
    installed = load_plugins(config) + given
    for one in installed:
        services.provide(one.plugin)
        one.plugin.in_shadow_mode = one.shadow
    problems = [text for one in installed for text in _table_problems(one.plugin)]
    if problems:
        raise SetupError(problems)
    return installed


def _table_problems(plugin: Plugin) -> Iterator[str]:
    """Open the tables that a plugin's options name, and yield the problems."""
    return plugin.all_options.table_problems(plugin.config_place, plugin.table)


def _facts(config: Config, lists: Lists, worker: int) -> ServerFacts:
    names = tuple(listen.name for listen in config.listen if listen.name)
    traps = config.traps
    refusal = TrapRefusal(traps.reply, traps.delay, traps.verdict != "data")
    return ServerFacts(
        config.server.hostname,
        worker,
        listeners=names,
        domains=lists.domains,
        trap_refusal=refusal,
        subaddress=config.recipients.subaddress,
        routes=tuple(route.name for route in config.route if route.name),
        known=lists.known,
    )


def _trap_rule(config: Config, lists: Lists, lifting: Lifting) -> TrapRule:
    traps, many = config.traps, config.traps.many_unknown
    return TrapRule(
        TrapTable(lists.traps, lists.known, lists.registry),
        traps.action,
        traps.delay,
        traps.reply,
        traps.rcpt,
        traps.verdict,
        traps.hold_share,
        None if many is None else ManyUnknown(many.minimum, many.share),
        traps.message_ids,
        traps.mark_score,
        _table_changes(config),
        tuple(lists.trusted),
        lifting,
    )


def _table_changes(config: Config) -> dict[Cell, Treatment]:
    return {
        (TrapClass(trap), Standing(sender)): Treatment(word)
        for trap, row in config.traps.table.items()
        for sender, word in row.items()
    }


def _recorder(
    config: Config,
    recorder: Recorder | None,
    records: Keep | None,
    plugins: PluginHost,
    clock: Clock,
) -> Recorder:
    """Return the recorder: facts to `recorder` or the log, records to it and to the ledger.

    With notifications, if a plugin has a method for them.
    """
    recorder = recorder or LogRecorder(clock.time)
    sinks = [*recorder.sinks, *([] if records is None else [records])]
    if sinks:
        privacy = _privacy(config, in_full=records is not None)
        recorder = RecordMaker(recorder, fan_out(sinks), clock.time, privacy)
    return NoticeRecorder(recorder, plugins.notifier) if plugins.notifier else recorder


def _privacy(config: Config, *, in_full: bool) -> Privacy:
    """Return what is not recorded; the log has no From and Subject. Raises `SetupError`."""
    left_out = config.ledger.privacy if in_full else (*config.ledger.privacy, "from", "subject")
    try:
        key = load_key(config.data_dir / "ledger") if "addresses" in left_out else b""
    except OSError as error:
        raise SetupError([f"ledger: {describe_os_error(error)}"]) from error
    return Privacy(left_out, key)


def _open_tables(
    config: Config, clock: Clock, given: Mapping[str, Table] | None
) -> tuple[Tables, KnownTables]:
    """Return the tables of a worker, and those of recipients. Raises `SetupError`."""
    tables = Tables(config, clock, given)
    known, problems = open_known_tables(config, tables)
    if problems:
        raise SetupError(list(map(str, problems)))
    return tables, known


async def start_tables(setup: Setup) -> None:
    """Start the tables that settings and plugins have opened; raises `SetupError`."""
    try:
        await setup.tables.start()
    except TableError as error:
        raise SetupError([str(error)]) from error


def _lookups(config: Config, plugins: PluginHost, clock: Clock) -> Lookups | None:
    """Return the look-ups of recipients, None if no plugin has the method for it."""
    chain = plugins.lookup
    return Lookups(chain, clock, config.recipients.lookup_cache) if chain.deciders else None


def _authority(config: Config, lists: Lists, plugins: PluginHost) -> Authority | None:
    """Return the users' authority, None if no listener has AUTH. Raises `SetupError`."""
    number = next((at for at, listen in enumerate(config.listen) if listen.auth), None)
    if number is None:
        return None
    deciders = bool(plugins.chains["auth"].deciders)
    if lists.users is None and not deciders:
        expected = "expected auth.users, or a plugin with on_auth"
        raise SetupError([f"listen[{number}].auth: no source of users, {expected}"])
    return Authority(config.auth, config.limits, lists.users, plugins=deciders)
