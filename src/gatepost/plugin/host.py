"""The plugins of one worker: their hooks bound into chains, their life from start to stop."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from gatepost.plugin.base import Plugin
from gatepost.plugin.chain import BoundHook, Chain
from gatepost.plugin.hooks import HOOKS, NOTIFICATIONS, STAGES
from gatepost.plugin.order import in_order

DEFAULT_DEADLINE = 30.0

_METHODS = frozenset(
    [f"{stage}_{hook}" for stage in STAGES for hook in HOOKS]
    + [f"on_{notification}" for notification in NOTIFICATIONS]
)


class PluginError(Exception):
    """A plugin that cannot be used; the message says which, why, and what was expected."""


class Installed(msgspec.Struct, frozen=True, eq=False):
    """A plugin and the administrator's choice for when it fails: defer, skip or deny."""

    plugin: Plugin
    on_error: str = "defer"


class PluginHost:
    """All plugins, in the order they are asked.

    `chains` has one `Chain` for every hook, `busy` only those with anyone in them, `notifications`
    one for every notification (its methods are followers). Raises `PluginError` if a plugin has a
    method for a hook that does not exist, `OrderError` if the order asked for is impossible.
    """

    def __init__(
        self, installed: Sequence[Installed] = (), deadline: float = DEFAULT_DEADLINE
    ) -> None:
        for one in installed:
            _check_methods(one.plugin)
        self.installed = in_order(installed)
        self.chains = {hook: self._chain(hook, deadline) for hook in HOOKS}
        self.busy = {hook: chain for hook, chain in self.chains.items() if chain}
        self.notifications = {
            name: Chain(followers=self._bind("on", name, answers=False), deadline=deadline)
            for name in NOTIFICATIONS
        }

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
            if hasattr(one.plugin, name)
        )

    async def start(self) -> None:
        """Start every plugin; those already started are stopped again if one cannot."""
        started: list[Plugin] = []
        try:
            for one in self.installed:
                await _life(one.plugin.start)
                started.append(one.plugin)
        except BaseException as error:  # a cancelled start included
            await _stop(started)
            if not isinstance(error, Exception):
                raise
            name = self.installed[len(started)].plugin.name
            raise PluginError(f"plugin {name}: start() failed: {error!r}") from error

    async def stop(self) -> None:
        """Stop every plugin, last first; one that fails is logged and does not stop the others."""
        await _stop([one.plugin for one in self.installed])

    def order(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield (hook, stage, plugin names) wherever there is anyone, in the order of a session."""
        for hook, chain in self.chains.items():
            stages = zip(STAGES, (chain.observers, chain.deciders, chain.followers), strict=True)
            for stage, bound in stages:
                if bound:
                    yield hook, stage, [one.plugin for one in bound]


async def _life(method: Callable[[], Any]) -> None:
    """Call start or stop, which may be `def` or `async def` as any other method."""
    result = method()
    if inspect.isawaitable(result):
        await result


async def _stop(plugins: list[Plugin]) -> None:
    for plugin in reversed(plugins):
        try:
            await _life(plugin.stop)
        except Exception:
            plugin.log.exception("plugin failed", plugin=plugin.name, method="stop")


def _callable(plugin: Plugin, name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(plugin, name)
    if plugin.blocking and not inspect.iscoroutinefunction(method):
        return functools.partial(asyncio.to_thread, method)
    return method


def _check_methods(plugin: Plugin) -> None:
    """Refuse methods that look like hooks but would never be called."""
    for name in dir(plugin):
        stage = name.partition("_")[0]
        if stage not in STAGES or name in _METHODS or not callable(getattr(plugin, name)):
            continue
        hint = get_close_matches(name, _METHODS, n=1)
        suggestion = f", did you mean {hint[0]}?" if hint else ""
        raise PluginError(f"plugin {plugin.name}: {name} is no hook{suggestion}")
