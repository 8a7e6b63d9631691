"""Hand messages to the plugins that learn from them, as spam or ham: `gatepost queue learn`.

The plugins are those of the configuration, in this process, with an empty store in memory. Only
those with `on_learn` are started.

Limits: each plugin has `limits.hook_timeout` for a message, or its own `timeout`, and all together
have `seconds`. Scope and shadow mode do not apply: the administrator asks for it.
"""

import asyncio
import inspect
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gatepost.config.schema import Config
from gatepost.model.address import Address
from gatepost.model.facts import set_fact
from gatepost.model.message import Message
from gatepost.model.session import Recipient, Transaction
from gatepost.plugin.base import Installed, is_blocking
from gatepost.plugin.clock import SystemClock
from gatepost.plugin.contract import implements
from gatepost.plugin.failure import describe
from gatepost.plugin.methods import Lesson
from gatepost.queue.spool import admin
from gatepost.queue.spool.records import decode_message, transaction
from gatepost.session.assemble import find_lists, make_resolver, make_setup
from gatepost.store.memory import MemoryBackend
from gatepost.store.store import OpenedStore

METHOD = "on_learn"


class StoredMessage(NamedTuple):
    """A message of the spool: its name, its recipients, its facts in JSON, what reads it."""

    name: str
    recipients: Sequence[str]
    facts: str
    size: int
    pieces: Callable[[], Iterator[bytes]]


class Learned(NamedTuple):
    """The result for one message and one plugin; `problem` is "" if the plugin has learned."""

    message: str
    plugin: str
    problem: str = ""


def learn_all(
    config: Config, messages: Iterable[StoredMessage], kind: Lesson, seconds: float = math.inf
) -> list[Learned]:
    """Return a result for each message and plugin; none if no plugin can learn.

    Raises `SetupError`.
    """
    return asyncio.run(_learn_all(config, messages, kind, seconds))


async def _learn_all(
    config: Config, messages: Iterable[StoredMessage], kind: Lesson, seconds: float
) -> list[Learned]:
    clock = asyncio.get_running_loop().time
    async with _learners(config) as (learners, timeout):
        end = clock() + seconds
        return [
            Learned(
                one.name,
                each.plugin.name,
                await _problem(each, one, kind, min(each.timeout or timeout, end - clock())),
            )
            for one in messages
            for each in learners
        ]


def stored(folder: Path, name: str, recipients: Sequence[str]) -> Iterator[StoredMessage]:
    """Yield a message that can be read more than once; one that has gone is left out."""
    with admin.open_message(folder, name) as found:
        if found is None:
            return
        facts = found.facts

    def pieces() -> Iterator[bytes]:
        with admin.open_message(folder, name) as again:
            if again is None:
                raise OSError(f"{name} has been removed")
            yield from again.pieces

    yield StoredMessage(name, recipients, facts, found.size, pieces)


@asynccontextmanager
async def _learners(config: Config) -> AsyncIterator[tuple[list[Installed], float]]:
    """Start the plugins that learn, and stop them afterwards; raises `SetupError`."""
    clock, resolver = SystemClock(), make_resolver(config)
    store = OpenedStore(MemoryBackend(clock=clock.time), "memory")
    setup = make_setup(config, find_lists(config), clock=clock, resolver=resolver, store=store)
    learners = [one for one in setup.plugins.installed if implements(one.plugin, METHOD)]
    async with AsyncExitStack() as stack:
        for one in learners:
            await _awaited(one.plugin.start())
            stack.push_async_callback(_stop, one)
        yield learners, config.limits.hook_timeout


async def _stop(one: Installed) -> None:
    await one.plugin.background_jobs.stop(one.plugin.name)
    await _awaited(one.plugin.stop())


async def _awaited(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


async def _problem(one: Installed, message: StoredMessage, kind: Lesson, seconds: float) -> str:
    """Let a plugin learn; return why it has not, "" if it has."""
    if seconds <= 0:
        return "not asked: the time is over"
    try:
        async with asyncio.timeout(seconds):
            await _learn(one, _transaction(message), kind)
    except TimeoutError:
        return "no answer within the time-out"
    except Exception as error:  # noqa: BLE001 - a plugin can raise anything
        return describe(error)
    return ""


async def _learn(one: Installed, tx: Transaction, kind: Lesson) -> None:
    method: Any = one.plugin.on_learn
    if is_blocking(one.plugin, method) and not inspect.iscoroutinefunction(method):
        await asyncio.to_thread(method, tx, kind)
    else:
        await _awaited(method(tx, kind))


def _transaction(message: StoredMessage) -> Transaction:
    """Return the transaction of a message."""
    addresses = [Address.parse(one) for one in message.recipients]
    recipients = [Recipient(one, {}, one.local, one.domain) for one in addresses]
    tx = transaction(decode_message(message.facts), recipients)
    set_fact(tx, "message", Message.stored(message.pieces, message.size))
    return tx
