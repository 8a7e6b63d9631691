"""A new interpreter that runs a module of Gatepost, and how it ended.

Security: the input is passed in an unnamed file, in memory where the system has such files. `-P`
keeps the current folder out of the module path.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable

from gatepost.net.unnamed import unnamed
from gatepost.process.systemd import VARIABLES


def start_module(
    module: str, given: object, descriptor: int, inherited: Iterable[int] = ()
) -> subprocess.Popen[bytes]:
    """Run `module DESCRIPTOR` with `given` as a pickle on standard input; raises OSError.

    The process inherits `descriptor` and the descriptors `inherited`.
    """
    with unnamed() as file:
        pickle.dump(given, file)
        file.seek(0)
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-m", module, str(descriptor)],
            stdin=file,
            pass_fds=[descriptor, *inherited],
            env={key: text for key, text in os.environ.items() if key not in VARIABLES},
        )


def describe_exit(code: int) -> str:
    """Return how a process exited: `exit status 1`, `signal SIGKILL`."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
