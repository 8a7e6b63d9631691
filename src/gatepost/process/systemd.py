"""Telling the service manager how we are: sd_notify(3), which is one datagram.

Does nothing where no manager asked for it. A manager that cannot be reached is not our worry.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

# What a child must not inherit: it would speak for us.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def reloading() -> str:
    """Return the message for the begin of a reload, which has to carry the time."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send a message to the manager."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)


def watchdog_interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often, in seconds, the manager wants to hear WATCHDOG=1; None for never.

    That is half of the time after which it takes us for dead, as sd_watchdog_enabled(3) advises.
    """
    limit = environment.get("WATCHDOG_USEC", "")
    if not limit.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(
        os.getpid()
    ):
        return None
    return int(limit) / 2_000_000 or None
