"""A table maps keys to values, as the lookup tables of Postfix do.

The keys of the core are an address in canonical form, the address without its subaddress, and
`@` with the domain. A plugin may use any text.

Trust: keys come from clients. A type of table passes a key to its service only as data, escaped or
as a bound parameter.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar

from gatepost.lists.reloadable import ReloadableFile

Found = Mapping[str, str]

# Seconds: a client waits for the reply meanwhile, and a healthy service needs milliseconds.
TIMEOUT = 5.0
BATCH = 100


class TableError(Exception):
    """A table cannot answer; the text names the table and has the problem.

    With `answered` its service is there, and has answered with an error. The cause may be one key,
    which a client has chosen.
    """

    def __init__(self, table: str, problem: str, *, answered: bool = False) -> None:
        super().__init__(f"table {table}: {problem}")
        self.table = table
        self.problem = problem
        self.answered = answered


class Table(ABC):
    """A table; `name` is its specification as configured, such as "lmdb:users".

    `is_local` is true for a table that answers in microseconds and never waits, such as a file:
    then there is no cache in front of it. `by_local_part` is true for one that finds an address by
    its local part, whatever its domain is. `files` are read again when they change. `timeout` is
    how many seconds a query may take, `batch` how many keys it may have.
    """

    is_local: ClassVar[bool] = False
    by_local_part: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: tuple[ReloadableFile[Any], ...] = ()
        self.timeout = TIMEOUT
        self.batch = BATCH

    @abstractmethod
    def find(self, keys: Sequence[str]) -> Found | Awaitable[Found]:
        """Return the keys that are in the table, with their values, or an awaitable of them.

        The value is "" in a table that has only keys. All keys are looked up with one query. A key
        that the service cannot contain, such as one that is too long, is not found. Raises
        `TableError` if the table cannot answer; the awaitable does too.
        """

    async def ask(self, keys: Sequence[str]) -> Found:
        """Return the keys that are in the table, with their values; raises `TableError`."""
        found = self.find(keys)
        return found if isinstance(found, Mapping) else await found

    async def start(self) -> None:  # noqa: B027 - most types have nothing to do
        """Prepare; raises `TableError` for what a later attempt cannot repair.

        A server that does not answer is no such error: the table connects when it is first used.
        """

    async def stop(self) -> None:  # noqa: B027 - likewise
        """Close connections and files. A table that has not started can be stopped."""
