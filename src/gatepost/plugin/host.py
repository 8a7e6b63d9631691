"""The plugins of one worker: their methods bound to hooks, started and stopped together."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.metrics.status import HookTimes, Series
from gatepost.model.decision import Decision
from gatepost.model.field import make_field
from gatepost.plugin import trouble
from gatepost.plugin.additions import addition_problems, collect, for_own_verbs
from gatepost.plugin.base import Installed, Plugin, is_blocking
from gatepost.plugin.chain import DEFAULT_TIMEOUT, BoundHook, Chain
from gatepost.plugin.contract import implements, is_idle, problems
from gatepost.plugin.driver import Driver, Wait
from gatepost.plugin.failure import describe
from gatepost.plugin.hooks import (
    ACTING,
    AFTER_ANY,
    EDITING,
    FACTS,
    HOOKS,
    NOTIFICATIONS,
    STAGES,
)
from gatepost.plugin.lifting import HOOKS as LIFTED
from gatepost.plugin.lifting import Lifting
from gatepost.plugin.lookups import read_lookup
from gatepost.plugin.metrics import MetricsSnapshot
from gatepost.plugin.notifier import Notifier
from gatepost.plugin.order import in_order, missing
from gatepost.plugin.scope import Scope
from gatepost.plugin.threads import PluginThreads

_log = get_logger("gatepost.plugin")


class PluginError(Exception):
    """A plugin cannot be used; the message names the plugin and the problem."""


class PluginHost:
    """All plugins, in the order in which they run.

    `chains` has a `Chain` for every hook, `busy` only those that are not empty. With `after_any`,
    which follows every hook, it has all of them. `notifications` has
    a chain for every notification; its methods are followers. `lookup` has the methods that
    recognise local recipients. `additions` are the plugins' commands and parameters. `lifting` has
    what `gatepost allow` allows. Raises `PluginError` for a method that is misspelt or takes the
    wrong arguments and for a command or parameter that cannot be added, `OrderError` if no order is
    possible, ValueError if two plugins add the same command.
    """

    def __init__(
        self,
        installed: Sequence[Installed] = (),
        timeout: float = DEFAULT_TIMEOUT,
        lifting: Lifting | None = None,
    ) -> None:
        for one in installed:
            for problem in (*problems(one.plugin), *addition_problems(one.plugin)):
                raise PluginError(f"plugin {one.plugin.name}: {problem}")
        for problem in missing(installed):
            raise PluginError(problem)
        self.installed = in_order(installed)
        self.additions = collect(self.installed)
        self._timeout = timeout
        self._lifting = lifting
        self._driver = Driver()
        self._threads: dict[Plugin, PluginThreads] = {}
        self.chains = {name: self._chain(name, hook.codes) for name, hook in HOOKS.items()}
        self.after_any = self._after_any()
        every = self.after_any is not None
        self.busy = {hook: chain for hook, chain in self.chains.items() if every or chain}
        self.notifications = {
            name: Chain(followers=self._bind("on", name), driver=self._driver)
            for name in NOTIFICATIONS
        }
        self.notified = frozenset(name for name, chain in self.notifications.items() if chain)
        self.notifier = Notifier({name: self.notifications[name] for name in FACTS})
        self.lookup = Chain(
            deciders=self._bind("on", "lookup", answers=True, read=read_lookup),
            driver=self._driver,
        )

    @property
    def idle(self) -> list[str]:
        """The names of the plugins that have no hook and no `start` or `stop`."""
        return [one.plugin.name for one in self.installed if is_idle(one.plugin)]

    def _chain(self, hook: str, codes: tuple[int, ...]) -> Chain:
        return Chain(
            observers=self._bind("observe", hook),
            deciders=self._bind("on", hook, codes, answers=True),
            followers=self._bind("after", hook),
            driver=self._driver,
            edits=hook in EDITING,
            acts=hook in ACTING,
        )

    @property
    def waits(self) -> Mapping[Any, Wait]:
        """The plugin that each task of a session waits for."""
        return self._driver.waits

    def _after_any(self) -> Chain | None:
        followers = self._bind("after", "any")
        return Chain(followers=followers, driver=self._driver) if followers else None

    def _bind(
        self,
        stage: str,
        hook: str,
        codes: tuple[int, ...] = (),
        *,
        answers: bool = False,
        read: Callable[[Any], Decision] | None = None,
    ) -> tuple[BoundHook, ...]:
        name = f"{stage}_{hook}"
        return tuple(
            BoundHook(
                one.plugin.name,
                name,
                self._called(one, name),
                one.on_error,
                answers,
                codes,
                self._timeout if one.timeout is None else one.timeout,
                one.shadow,
                one.scope,
                read,
                lifting=self._lifting if one.is_lifted and hook in LIFTED else None,
            )
            for one in self.installed
            if implements(one.plugin, name)
        )

    def _called(self, one: Installed, name: str) -> Callable[..., Any]:
        """Return the method, or a function that checks the scope first."""
        method = self._callable(one, name)
        return method if one.scope is None else _within(method, one.scope)

    def _callable(self, one: Installed, name: str) -> Callable[..., Any]:
        """Return the method, or a function that calls it in a thread of the plugin."""
        plugin = one.plugin
        method: Callable[..., Any] = getattr(plugin, name)
        threaded = not inspect.iscoroutinefunction(method) and is_blocking(plugin, method)
        called = self._in_thread(one, method) if threaded else method
        if name == "on_command":
            return for_own_verbs(plugin, called)
        return _without_subject(called) if name == AFTER_ANY else called

    def _in_thread(self, one: Installed, method: Callable[..., Any]) -> Callable[..., Any]:
        plugin = one.plugin
        threads = self._threads.get(plugin)
        if threads is None:
            threads = self._threads[plugin] = PluginThreads(plugin.name, one.threads)
        return functools.partial(threads.call, method)

    async def start(self) -> None:
        """Start every plugin. If one fails, stop those already started and raise `PluginError`."""
        for name in self.idle:
            _log.warning("plugin without hooks", plugin=name)
        started: list[Plugin] = []
        try:
            for one in self.installed:
                await _call(one.plugin.start)
                started.append(one.plugin)
        except BaseException as error:  # a cancelled start included
            failed = self.installed[len(started)].plugin
            await failed.background_jobs.stop(failed.name)
            await _stop(started)
            if not isinstance(error, (Exception, SystemExit)):
                raise
            raise PluginError(f"plugin {failed.name}: start() failed: {describe(error)}") from error

    async def stop(self) -> None:
        """Stop every plugin, last first; a failure is logged and does not stop the others."""
        await _stop([one.plugin for one in self.installed])
        await self.notifier.close()
        self._driver.close()
        for threads in self._threads.values():
            threads.close()

    def fields_of_own_mail(self, message: bytes) -> list[tuple[str, str]]:
        """Return the header fields that plugins add to a message that this server creates.

        A plugin that fails adds none, and the failure is logged.
        """
        found: list[tuple[str, str]] = []
        for one in self.installed:
            if implements(one.plugin, "on_own_mail"):
                found += _own_fields(one.plugin, message)
        return found

    async def settle(self) -> None:
        """Wait until no plugin's periodic method is being called."""
        for one in self.installed:
            await one.plugin.background_jobs.settle()

    def metrics(self) -> MetricsSnapshot:
        """Return the metrics of all plugins, of this process only."""
        plugins = [one.plugin for one in self.installed]
        return MetricsSnapshot(
            tuple(sample for one in plugins for sample in one.metrics.samples(one.name))
        )

    def series(self) -> Iterator[Series]:
        """Yield the metrics of all plugins, in the form of a `Status`."""
        for one in self.installed:
            yield from one.plugin.metrics.all_series(one.plugin.name)

    def hook_times(self) -> Iterator[HookTimes]:
        """Yield the time that each method has taken and its failures, if there are some."""
        for chain in (
            *self.chains.values(),
            *self.notifications.values(),
            self.lookup,
            self.after_any or Chain(),
        ):
            for one in (*chain.observers, *chain.deciders, *chain.followers):
                found = one.latency
                if found.failures or any(found.counts):
                    counts, ended = tuple(found.counts), (found.failures, found.timeouts)
                    yield HookTimes(one.plugin, one.name, counts, found.seconds, *ended)

    def order(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield (hook, stage, plugin names) for each stage in use, in the order of a session."""
        more = (("any", self.after_any or Chain()), ("lookup", self.lookup))
        for hook, chain in (*self.chains.items(), *more):
            stages = zip(STAGES, (chain.observers, chain.deciders, chain.followers), strict=True)
            for stage, bound in stages:
                if bound:
                    yield hook, stage, [one.plugin for one in bound]


def _own_fields(plugin: Plugin, message: bytes) -> list[tuple[str, str]]:
    try:
        fields = [(str(name), str(value)) for name, value in plugin.on_own_mail(message) or ()]
        for name, value in fields:
            make_field(name, value, utf8=True)
    except Exception as error:  # noqa: BLE001 - a plugin can raise anything
        trouble.failed(plugin.name, "on_own_mail", error, ())
        return []
    return fields


def _within(method: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    """Return a function that calls the method only within the scope."""

    def scoped(*args: Any) -> Any:
        return method(*args) if scope.covers(args) else None

    return scoped


def _without_subject(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that is called without the first argument, which is for the scope only."""
    return lambda _subject, *args: method(*args)


async def _call(method: Callable[[], Any]) -> None:
    """Call start or stop, a `def` or an `async def`."""
    result = method()
    if inspect.isawaitable(result):
        await result


async def _stop(plugins: list[Plugin]) -> None:
    for plugin in reversed(plugins):
        await plugin.background_jobs.stop(plugin.name)
        try:
            await _call(plugin.stop)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other plugins are stopped too
            trace = format_traceback(error)
            fields = {"plugin": plugin.name, "method": "stop", "exception": trace}
            plugin.log.log(logging.ERROR, "plugin failed", **fields)
        await plugin.background_jobs.stop(plugin.name)  # those that stop() has begun
