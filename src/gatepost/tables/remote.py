"""The common part of the tables on other servers.

Trust: keys come from clients. A key that no address can have, such as one with a control character
or one that is very long, is not found, and no server is asked about it.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final

from gatepost.config.redact import redact
from gatepost.tables.table import Found, Table, TableError

# Characters: an address of RFC 5321 has at most 254 octets.
MAX_KEY: Final = 512
_MAX_PROBLEM: Final = 300
_MAX_QUOTED: Final = 2000


class RemoteTable(Table):
    """A table on another server; `timeout` is in seconds.

    An error of the types `failures` is a `TableError`.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (OSError, ValueError)

    def __init__(self, name: str, timeout: float | None = None) -> None:
        super().__init__(name)
        if timeout is not None:
            self.timeout = timeout

    async def find(self, keys: Sequence[str]) -> Found:
        """See `Table.find`."""
        possible = [key for key in keys if is_possible(key)]
        if not possible:
            return {}
        try:
            return await self._look_up(possible)
        except TableError:
            raise
        except self.failures as error:
            raise TableError(self.name, describe(error)) from error

    @abstractmethod
    async def _look_up(self, keys: Sequence[str]) -> Found:
        """Return the keys that are in the table, with their values."""


def is_possible(key: str) -> bool:
    """Return whether a server may be asked about a key."""
    return 0 < len(key) <= MAX_KEY and key.isprintable()


def describe(error: BaseException) -> str:
    """Return an error as one line without passwords, of limited length."""
    # Shortened first: the error can quote megabytes that a server has sent.
    text = " ".join(redact(str(error)[:_MAX_QUOTED]).split())
    return "".join(one if one.isprintable() else "?" for one in text)[:_MAX_PROBLEM] or (
        type(error).__name__
    )
