"""The name of a process in `ps -o comm`, `pgrep` and `top`: otherwise all have the same name.

Limits: Linux only, 15 octets.
"""

from contextlib import suppress
from pathlib import Path

WORKER = "gatepost-worker"
LEDGER = "gatepost-ledger"
WEB = "gatepost-web"

_PR_SET_NAME = 15


def name_process(name: str) -> None:
    """Give this process a name, if the system allows it."""
    try:
        Path("/proc/self/comm").write_text(name)
    except PermissionError:  # the file belongs to root after a change of the user
        _set_name(name)
    except OSError:
        return


def _set_name(name: str) -> None:
    import ctypes  # noqa: PLC0415 - takes milliseconds

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
