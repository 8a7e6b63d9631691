"""The base class of plugins.

    class NoMondays(Plugin):
        class Options(Plugin.Options):
            day: int = 0

        def on_rcpt(self, tx, rcpt):
            if tx.received_at.weekday() == self.options.day:
                return deny("closed today", reason="monday")

The server gives a plugin everything else it needs: `options`, `log`, `clock`, `resolver`, `store`,
folders, and the session or transaction as an argument of each method. A plugin that no server runs
has defaults that need no network and no files.
"""

import functools
import inspect
import re
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar
from weakref import WeakSet

import msgspec

from gatepost.config.schema import Config
from gatepost.log.logger import get_logger
from gatepost.model.additions import Verb
from gatepost.model.address import Address
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.net.resolver import DnsResolver, Resolver
from gatepost.plugin.clock import Clock, SystemClock
from gatepost.plugin.failure import client_of
from gatepost.plugin.jobs import Jobs
from gatepost.plugin.methods import HookMethods
from gatepost.plugin.metrics import Metrics
from gatepost.plugin.options.by_domain import OptionsByDomain
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugin.outbox import NewMail, Outbox
from gatepost.plugin.place import Place
from gatepost.plugin.scope import Scope
from gatepost.plugin.server_facts import ServerFacts
from gatepost.plugin.threads import DEFAULT_THREADS, PluginThreads
from gatepost.plugin.trap_registry import Traps
from gatepost.registry.memory import MemoryRegistry
from gatepost.store.memory import MemoryBackend
from gatepost.store.store import Store
from gatepost.tables.known import KnownTables
from gatepost.tables.table import Table
from gatepost.tables.tables import Tables

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# The functions that `blocking` has marked.
_BLOCKING: WeakSet[Any] = WeakSet()

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
_NO_TABLES: Mapping[str, Mapping[str, Any]] = MappingProxyType({})

OptionsT = TypeVar("OptionsT")
OptionsT_co = TypeVar("OptionsT_co", covariant=True)


class BaseOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Options of a plugin: annotated fields, with a default unless the option is required."""


class HasOptions(Protocol[OptionsT_co]):
    """A plugin as type checkers see it: `self.options` is an instance of its class `Options`."""

    @property
    def Options(self) -> type[OptionsT_co]:  # noqa: N802 - the name of a class
        """Return the class of the options."""
        ...


class Plugin(HookMethods):
    """Base of all plugins. Keyword arguments are the options; raises `OptionsError`.

    `options_for` has the options for domains, as in `[[plugin]]`:
    `Greylist(delay="5m", options_for={"example.com": {"delay": "0s"}})`.

    `commands` are the verbs that `on_command` answers, `mail_parameters` and `rcpt_parameters` the
    keywords that a client may send with MAIL and RCPT; all are in upper case. `before` and `after`
    name plugins that must run later or earlier, in any configured order. `requires` names plugins
    whose results it needs: without them the server does not start. With
    `blocking` the synchronous methods run in a thread, for work that takes more than a millisecond.
    With `uses_dns` `gatepost check` examines the name servers. With `keeps_decisions` an entry of
    `gatepost allow` does not lift its decisions: for malware, loops and resources.
    """

    class Options(BaseOptions):
        """No options, unless a plugin defines its own `Options(Plugin.Options)`."""

    commands: ClassVar[Mapping[str, Verb]] = {}
    mail_parameters: ClassVar[Collection[str]] = ()
    rcpt_parameters: ClassVar[Collection[str]] = ()
    before: ClassVar[Collection[str]] = ()
    after: ClassVar[Collection[str]] = ()
    requires: ClassVar[Collection[str]] = ()
    blocking: ClassVar[bool] = False
    uses_dns: ClassVar[bool] = False
    keeps_decisions: ClassVar[bool] = False

    # The loader sets it before `__init__`. The default is that of a plugin that is created in code.
    config_place: Place = Place()

    def __init__(
        self, *, options_for: Mapping[str, Mapping[str, Any]] = _NO_TABLES, **options: Any
    ) -> None:
        if not self.config_place.source:
            source = type(self).__name__
            self.config_place = msgspec.structs.replace(self.config_place, source=source, files={})
        _check_class(self.Options, self.config_place)
        self.all_options: OptionsByDomain[BaseOptions] = OptionsByDomain(
            options, options_for, self.Options, self.config_place
        )
        self.name = _WORD_START.sub("_", type(self).__name__).lower()
        self.log: Any = get_logger("gatepost.plugin", plugin=self.name)
        self.clock: Clock = SystemClock()
        self.resolver: Resolver = DnsResolver()
        self.data_dir: Path = self.config_place.data_dir
        memory = MemoryBackend(clock=self._time)
        self.store: Store = Store(memory, "plugin")
        self.traps: Traps = Traps(MemoryRegistry(), (), KnownTables(), self.clock, self.name)
        self.metrics: Metrics = Metrics()
        self.server: ServerFacts = ServerFacts()
        self.tables: Tables | None = None
        self.background_jobs: Jobs = Jobs(Store(memory, "jobs"))
        self.outbox: Outbox | None = None
        # Whether its decisions have no effect: it must not change anything else by itself either.
        self.in_shadow_mode = False

    def _time(self) -> float:
        return self.clock.time()

    @property
    def dns_lists(self) -> Collection[str]:
        """The zones of the DNS lists that it uses, whose test entries `gatepost check` looks up."""
        return ()

    def probes(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        """Return the services that it uses, each with a function that asks for the version.

        `gatepost check` calls them, without `start`. A function raises an exception if the service
        does not answer.
        """
        return {}

    def log_for(self, about: Session | Transaction) -> Any:
        """Return the log of this plugin with the reference and the client in each line."""
        return self.log.bind(**client_of((about,)))

    def path(self, name: str | Path) -> Path:
        """Return the path of a file; a relative one starts at the configuration's folder."""
        return self.config_place.base / name

    def table(self, spec: str) -> Table:
        """Return the table that a specification such as "lmdb:users" names, with a cache.

        Call this in `start`: the server starts and stops the table. Raises ValueError for a wrong
        specification, `TableError` when the table is used and cannot answer.
        """
        if self.tables is None:
            self.tables = Tables(Config(base=self.config_place.base), self.clock)
        return self.tables.open(spec)

    @property
    def options(self: HasOptions[OptionsT]) -> OptionsT:
        """The options of this plugin, checked and with defaults filled in."""
        options: OptionsT = self.all_options.general  # type: ignore[attr-defined]
        return options

    def options_for(self: HasOptions[OptionsT], domain: Recipient | Address | str) -> OptionsT:
        """Return the options for a domain, or for that of an address.

        They are complete: those that the domain does not have are those in general.
        """
        options: OptionsT = self.all_options.find(domain)  # type: ignore[attr-defined]
        return options

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine next to all sessions, until it ends or the server stops.

        Its failure is logged. Raises RuntimeError if too many run already.
        """
        self.background_jobs.run(self.name, work)

    def every(
        self, period: str | float, method: Callable[[], Any], *, one_worker: bool = False
    ) -> None:
        """Call a method once in each period, such as "5m" or a number of seconds.

        Call this in `start`. With `one_worker` only one worker calls it in each period, of all
        those that share the store. Raises ValueError for a period of less than a second.
        """
        call = method
        if is_blocking(self, method) and not inspect.iscoroutinefunction(method):
            threads = PluginThreads(f"{self.name} jobs", 1)
            self.background_jobs.at_stop.append(threads.close)
            call = functools.wraps(method)(functools.partial(threads.call, method))
        self.background_jobs.call_every(self.name, self.clock, period, call, one_worker=one_worker)

    async def submit(
        self, sender: Address | str, recipients: Sequence[Address | str], message: NewMail
    ) -> str:
        """Put a message into the queue, for example a report; return its reference.

        It is durable when this returns. It passes no hook. `sender` gets the DSNs; "" is the null
        reverse-path. `message` is an `EmailMessage`, or octets with its header block. Date and
        Message-ID are added unless it has them, and Bcc is removed. Raises ValueError for a
        recipient without a route, and a message that is too large or not well formed,
        `DeliveryError` if it cannot be stored, RuntimeError if there is no queue, as in `start`.
        """
        if self.outbox is None:
            raise RuntimeError("submit() needs a server: the plugin is not in one")
        return await self.outbox.submit(self.name, sender, recipients, message)

    def warnings(self) -> Iterable[str]:
        """Return what `gatepost check` is to warn of, such as options that are rarely right."""
        return ()

    def start(self) -> Awaitable[None] | None:
        """Prepare, before the first connection; an exception keeps the server from starting."""

    def stop(self) -> Awaitable[None] | None:
        """Clean up, after the last connection."""


def blocking(method: MethodT) -> MethodT:
    """Mark a method that blocks: it is called in a thread. Decorator.

    Other methods of the plugin run in the event loop, unless the class has `blocking = True`.
    """
    _BLOCKING.add(method)
    return method


def is_blocking(plugin: Plugin, method: Callable[..., Any]) -> bool:
    """Return whether a method must run in a thread."""
    function = getattr(method, "__func__", method)
    return plugin.blocking or function in _BLOCKING


def _check_class(options: object, place: Place) -> None:
    """Raise `OptionsError` unless the class `Options` of a plugin is derived as it must be."""
    if isinstance(options, type) and issubclass(options, BaseOptions):
        return
    root = place.location
    found = "another base class" if isinstance(options, type) else f"{options!r}"
    root.report_mismatch("class Options(Plugin.Options) in the plugin", found)
    raise OptionsError(root.problems)


class Installed(msgspec.Struct, frozen=True, eq=False):
    """A plugin as it is configured.

    `on_error` is the effect of its failures: defer, skip or deny. `timeout` is in seconds, for each
    method; None is the usual one. `threads` is the number of its threads if it blocks. With
    `shadow` its decisions are only logged. `scope` is None if it is called in every session.
    `allowed` is what `gatepost allow` does to its decisions: "lift", "keep", or "auto" for
    what the plugin has in `keeps_decisions`.
    """

    plugin: Plugin
    on_error: str = "defer"
    timeout: float | None = None
    threads: int = DEFAULT_THREADS
    shadow: bool = False
    scope: Scope | None = None
    allowed: str = "auto"

    @property
    def is_lifted(self) -> bool:
        """Return whether `gatepost allow` takes the effect from its decisions."""
        return not self.plugin.keeps_decisions if self.allowed == "auto" else self.allowed == "lift"
