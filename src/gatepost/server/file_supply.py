"""Reports when the process has no file descriptor left, so that connections cannot be accepted.

Clients then wait in the backlog. uvloop reports nothing, and asyncio reports every attempt,
thousands each second. So the supply is tested once a second, and `ignore_failed_accepts` drops the
reports.
"""

import asyncio
import os
from typing import Any

from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error

_log = get_logger("gatepost.server")


class FileSupply:
    """Logs the start and the end of an outage, one line each."""

    def __init__(self) -> None:
        self._problem = ""

    def check(self) -> None:
        """Open a file to find out whether that is possible."""
        before, self._problem = self._problem, _problem()
        if self._problem and not before:
            _log.error("no more open files", problem=self._problem)
        elif before and not self._problem:
            _log.info("open files available again")


def _problem() -> str:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return describe_os_error(error)
    return ""


def ignore_failed_accepts(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle exceptions of an event loop as by default, except those of accept."""
    if context.get("message") != "socket.accept() out of system resource":
        loop.default_exception_handler(context)
