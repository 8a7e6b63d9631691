"""The facts about a server that its plugins can read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gatepost._version import __version__
from gatepost.model.address import domain_key


class ServerFacts(msgspec.Struct, frozen=True):
    """The server of a plugin; the defaults are those of a plugin that no server runs.

    `worker` is the number of the worker process. No other running worker of the server has it, and
    a new worker may get that of one that has ended. `listeners` are the names of the listeners that
    have one. `domains` are the lists of `recipients.domains`.
    """

    hostname: str = "localhost"
    worker: int = 0
    version: str = __version__
    listeners: tuple[str, ...] = ()
    domains: Sequence[Any] = ()

    def is_local(self, domain: str) -> bool:
        """Return whether a domain is in `recipients.domains`; those of plugins are not."""
        key = domain_key(domain)
        return any(key in source.current for source in self.domains)
