"""The store as plugins use it.

    count = await self.store.incr(f"ip {ip}", ttl=3600)
    if not await self.store.take(f"sender {sender}", rate=10 / 3600, burst=10):
        return defer("too many messages")

    async with self.store.batch() as batch:     # one round trip
        seen = batch.add(f"grey {triplet}", ttl=86_400)
        total = batch.incr("messages")
    if seen.value: ...

A value is text or a whole number. Encode a small structure as text, for example with
`msgspec.json.encode(...).decode()`. Every operation is atomic, over all workers and machines that
share the store. A batch is not: operations of others may come between its own.

When the store is unavailable, `incr` and `take` count in the memory of the worker, so limits still
apply, for each worker alone. All other operations raise `StoreError` at once. Decide without them:
greylisting lets the message pass, a reputation has no opinion. `degraded` is true meanwhile.

Call the methods on the event loop, not in a thread.
"""

from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from gatepost.store.backend import Backend
from gatepost.store.errors import StoreError
from gatepost.store.guarded import GuardedBackend, StoreStatistics
from gatepost.store.keys import (
    check_integer,
    check_namespace,
    check_positive,
    check_ttl,
    check_value,
    normalized,
)
from gatepost.store.operations import (
    Add,
    AnyOperation,
    Delete,
    Get,
    Incr,
    Operation,
    Set,
    Take,
    Taken,
    Value,
)

# Operations of a batch: it has to fit into a stage of a session.
MAX_BATCH = 1000

R = TypeVar("R")


class Store:
    """The keys of one plugin.

    Methods raise `StoreError`, and ValueError or TypeError for wrong arguments. A `ttl` is in
    seconds. Without one, a key stays until it is deleted or its place is needed.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        self._backend = backend
        self._namespace = check_namespace(namespace)

    @property
    def degraded(self) -> bool:
        """The state of the shared store: true if it is unavailable and limits count locally."""
        return isinstance(self._backend, GuardedBackend) and self._backend.is_degraded

    async def get(self, key: str) -> Value | None:
        """Return the value of a key, None if it is absent or has expired."""
        return await self._one(Get(normalized(key)))

    async def set(self, key: str, value: Value, *, ttl: float | None = None) -> None:
        """Write a value; the ttl starts again."""
        await self._one(_set(key, value, ttl))

    async def add(self, key: str, value: Value = 1, *, ttl: float | None = None) -> bool:
        """Write a value if the key is absent; return whether it was."""
        return await self._one(_add(key, value, ttl))

    async def incr(self, key: str, by: int = 1, *, ttl: float | None = None) -> int:
        """Add to a counter and return it; the ttl starts when the counter is created.

        Raises `KeyTypeError` if the key holds text.
        """
        return await self._one(_incr(key, by, ttl))

    async def delete(self, key: str) -> bool:
        """Remove a key; return whether it existed."""
        return await self._one(Delete(normalized(key)))

    async def take(self, key: str, *, rate: float, burst: float, cost: float = 1) -> Taken:
        """Take `cost` tokens from a bucket, all or none; the result is true if they were taken.

        The bucket holds `burst` tokens and gets `rate` tokens a second. `retry_after` of the result
        is the time in seconds until the tokens are available.
        """
        return await self._one(_take(key, rate, burst, cost))

    def batch(self) -> "Batch":
        """Return a batch; its operations are executed together at the end of `async with`."""
        return Batch(self._backend, self._namespace)

    async def _one(self, operation: Operation[R]) -> R:
        (result,) = await self._backend.execute(self._namespace, (operation,))
        if isinstance(result, StoreError):
            raise result
        return cast("R", result)


class Pending(Generic[R]):
    """The result of an operation of a batch."""

    __slots__ = ("_result",)

    def __init__(self) -> None:
        self._result: R | StoreError = StoreError("the batch was not executed yet")

    @property
    def value(self) -> R:
        """The result. Raises `StoreError` if there is none."""
        if isinstance(self._result, StoreError):
            raise self._result
        return self._result

    def resolve(self, result: R | StoreError) -> None:
        """Set the result."""
        self._result = result


class Batch:
    """Several operations in one round trip, with the arguments of `Store`.

    Each method returns a `Pending`, whose `value` can be read after the `async with`. An error is
    raised by `value`, so that the other results can still be used.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        self._backend = backend
        self._namespace = namespace
        self._operations: list[AnyOperation] = []
        self._pending: list[Pending[Any]] = []

    def get(self, key: str) -> Pending[Value | None]:
        """See `Store.get`."""
        return self._append(Get(normalized(key)))

    def set(self, key: str, value: Value, *, ttl: float | None = None) -> Pending[None]:
        """See `Store.set`."""
        return self._append(_set(key, value, ttl))

    def add(self, key: str, value: Value = 1, *, ttl: float | None = None) -> Pending[bool]:
        """See `Store.add`."""
        return self._append(_add(key, value, ttl))

    def incr(self, key: str, by: int = 1, *, ttl: float | None = None) -> Pending[int]:
        """See `Store.incr`."""
        return self._append(_incr(key, by, ttl))

    def delete(self, key: str) -> Pending[bool]:
        """See `Store.delete`."""
        return self._append(Delete(normalized(key)))

    def take(self, key: str, *, rate: float, burst: float, cost: float = 1) -> Pending[Taken]:
        """See `Store.take`."""
        return self._append(_take(key, rate, burst, cost))

    def _append(self, operation: Operation[R]) -> Pending[R]:
        if len(self._operations) >= MAX_BATCH:
            raise ValueError(f"expected at most {MAX_BATCH} operations in a batch")
        pending: Pending[R] = Pending()  # Pending[R]() takes three times as long
        self._operations.append(operation)
        self._pending.append(pending)
        return pending

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or not self._operations:
            return
        for pending, result in zip(self._pending, await self._execute(), strict=True):
            pending.resolve(result)
        self._operations, self._pending = [], []

    async def _execute(self) -> list[Any]:
        """Return the results, or an error in place of a result."""
        try:
            return await self._backend.execute(self._namespace, self._operations)
        except StoreError as error:
            return [error] * len(self._operations)


class OpenedStore:
    """The store of a worker. It does not use files or the network before the first operation."""

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self.name = name

    @property
    def statistics(self) -> StoreStatistics:
        """The counts of operations and failures; all are 0 for a store in memory."""
        if isinstance(self._backend, GuardedBackend):
            return self._backend.statistics
        return StoreStatistics()

    @property
    def is_degraded(self) -> bool:
        """Return whether the store is unavailable and limits count locally."""
        return isinstance(self._backend, GuardedBackend) and self._backend.is_degraded

    def scope(self, namespace: str) -> Store:
        """Return the store of a plugin, whose keys no other plugin sees. Raises ValueError."""
        return Store(self._backend, namespace)

    async def start(self) -> None:
        """Open files without a deadline; without it, the first operation has to.

        Raises nothing: an unavailable store must not keep a server from starting.
        """
        await self._backend.start()

    async def close(self) -> None:
        """Close the store, after the last operation."""
        await self._backend.close()


def _set(key: str, value: Value, ttl: float | None) -> Set:
    return Set(normalized(key), check_value(value), check_ttl(ttl))


def _add(key: str, value: Value, ttl: float | None) -> Add:
    return Add(normalized(key), check_value(value), check_ttl(ttl))


def _incr(key: str, by: int, ttl: float | None) -> Incr:
    return Incr(normalized(key), check_integer(by), check_ttl(ttl))


def _take(key: str, rate: float, burst: float, cost: float) -> Take:
    return Take(
        normalized(key),
        check_positive("rate", rate),
        check_positive("burst", burst),
        check_positive("cost", cost),
    )
