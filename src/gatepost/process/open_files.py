"""The limit of open files (RLIMIT_NOFILE), compared with the number of connections.

The supervisor raises the soft limit before it starts workers, which inherit it. The hard limit is
not changed: it belongs to the administrator.
"""

import resource
import sys
from contextlib import suppress

from gatepost.config.schema import Config

# Open files of a connection, at most: its socket, a message in a file, and a delivery.
PER_CONNECTION = 3
# Listeners, lists, the spool, connections kept to next hops, and libraries.
OTHERS = 256


def needed_files(config: Config) -> int:
    """Return how many open files a worker needs with all its connections."""
    return config.limits.connections * PER_CONNECTION + OTHERS


def possible_files() -> int:
    """Return the hard limit of this process."""
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def raise_file_limit(needed: int) -> int:
    """Raise the soft limit to `needed`, at most to the hard limit; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = min(needed, _number(hard))
    if _number(soft) < target:
        with suppress(OSError, ValueError):  # a container can forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
