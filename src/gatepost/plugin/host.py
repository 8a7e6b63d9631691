"""The plugins of one worker: their methods bound to hooks, started and stopped together."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.plugin.base import Installed, Plugin
from gatepost.plugin.chain import BoundHook, Chain
from gatepost.plugin.contract import implements, is_idle, problems
from gatepost.plugin.failure import describe
from gatepost.plugin.hooks import HOOKS, NOTIFICATIONS, STAGES
from gatepost.plugin.order import in_order

DEFAULT_DEADLINE = 30.0

_log = get_logger("gatepost.plugin")


class PluginError(Exception):
    """A plugin cannot be used; the message names the plugin and the problem."""


class PluginHost:
    """All plugins, in the order in which they run.

    `chains` has a `Chain` for every hook, `busy` only those that are not empty. `notifications` has
    a chain for every notification; its methods are followers. Raises `PluginError` for a method
    that is misspelt or takes the wrong arguments, `OrderError` if no order is possible.
    """

    def __init__(
        self, installed: Sequence[Installed] = (), deadline: float = DEFAULT_DEADLINE
    ) -> None:
        for one in installed:
            for problem in problems(one.plugin):
                raise PluginError(f"plugin {one.plugin.name}: {problem}")
        self.installed = in_order(installed)
        self.chains = {hook: self._chain(hook, deadline) for hook in HOOKS}
        self.busy = {hook: chain for hook, chain in self.chains.items() if chain}
        self.notifications = {
            name: Chain(followers=self._bind("on", name, answers=False), deadline=deadline)
            for name in NOTIFICATIONS
        }

    @property
    def idle(self) -> list[str]:
        """The names of the plugins that have no hook and no `start` or `stop`."""
        return [one.plugin.name for one in self.installed if is_idle(one.plugin)]

    def _chain(self, hook: str, deadline: float) -> Chain:
        return Chain(
            observers=self._bind("observe", hook, answers=False),
            deciders=self._bind("on", hook, answers=True),
            followers=self._bind("after", hook, answers=False),
            deadline=deadline,
        )

    def _bind(self, stage: str, hook: str, *, answers: bool) -> tuple[BoundHook, ...]:
        name = f"{stage}_{hook}"
        return tuple(
            BoundHook(one.plugin.name, name, _callable(one.plugin, name), one.on_error, answers)
            for one in self.installed
            if implements(one.plugin, name)
        )

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
            await _stop(started)
            if not isinstance(error, (Exception, SystemExit)):
                raise
            name = self.installed[len(started)].plugin.name
            raise PluginError(f"plugin {name}: start() failed: {describe(error)}") from error

    async def stop(self) -> None:
        """Stop every plugin, last first; a failure is logged and does not stop the others."""
        await _stop([one.plugin for one in self.installed])

    def order(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield (hook, stage, plugin names) for each stage in use, in the order of a session."""
        for hook, chain in self.chains.items():
            stages = zip(STAGES, (chain.observers, chain.deciders, chain.followers), strict=True)
            for stage, bound in stages:
                if bound:
                    yield hook, stage, [one.plugin for one in bound]


async def _call(method: Callable[[], Any]) -> None:
    """Call start or stop, a `def` or an `async def`."""
    result = method()
    if inspect.isawaitable(result):
        await result


async def _stop(plugins: list[Plugin]) -> None:
    for plugin in reversed(plugins):
        try:
            await _call(plugin.stop)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other plugins are stopped too
            trace = format_traceback(error)
            fields = {"plugin": plugin.name, "method": "stop", "exception": trace}
            plugin.log.log(logging.ERROR, "plugin failed", **fields)


def _callable(plugin: Plugin, name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(plugin, name)
    if plugin.blocking and not inspect.iscoroutinefunction(method):
        return functools.partial(asyncio.to_thread, method)
    return method
