"""The contract between the class for plugins and the stores behind it."""

from collections.abc import Sequence
from typing import Any, Protocol

from gatepost.store.operations import AnyOperation

# A result, or the error of this operation alone.
Result = Any


class Backend(Protocol):
    """A store. Its methods run on the event loop.

    They await futures only and do not use the current task. The coroutine may therefore be driven
    in place, and continue in a task when it has to wait.
    """

    async def execute(self, namespace: str, operations: Sequence[AnyOperation]) -> list[Result]:
        """Execute operations in order, in one round trip; return a result for each.

        Each operation is atomic. The result of one that fails alone is a `StoreError`. Raises
        `StoreError` if the store is unavailable. Some operations may have taken effect then.
        """
        ...

    async def start(self) -> None:
        """Open the store without a deadline; errors appear at the first operation."""
        ...

    async def close(self) -> None:
        """Close the store."""
        ...
