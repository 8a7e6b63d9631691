"""The facts about a server that its plugins can read."""

import msgspec

from gatepost._version import __version__


class ServerFacts(msgspec.Struct, frozen=True):
    """The server of a plugin; the defaults are those of a plugin that no server runs.

    `worker` is the number of the worker process. No other running worker of the server has it, and
    a new worker may get that of one that has ended. `listeners` are the names of the listeners that
    have one.
    """

    hostname: str = "localhost"
    worker: int = 0
    version: str = __version__
    listeners: tuple[str, ...] = ()
