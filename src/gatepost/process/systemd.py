"""Notification of the service manager: sd_notify(3), which is one datagram.

Nothing is sent if no manager has asked for it. A manager that cannot be reached is ignored.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

# Variables that a child must not inherit, because it could notify in the supervisor's name.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def reloading() -> str:
    """Return the message for the start of a reload, which must contain the time."""
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
    """Return the seconds between two WATCHDOG=1 messages; None if the manager expects none.

    This is half of the manager's time limit, as sd_watchdog_enabled(3) recommends.
    """
    limit = environment.get("WATCHDOG_USEC", "")
    own = str(os.getpid())
    if not limit.isdecimal() or environment.get("WATCHDOG_PID", own) != own:
        return None
    return int(limit) / 2_000_000 or None


class ServiceWatchdog:
    """The WATCHDOG=1 messages that the manager expects."""

    def __init__(self) -> None:
        self._interval = watchdog_interval()
        self._notified_at = 0.0

    def notify_if_due(self, now: float) -> None:
        """Send the message if it is due."""
        if self._interval is not None and now - self._notified_at >= self._interval:
            self._notified_at = now
            notify(WATCHDOG)
