"""The code of forked children in tests: `run` and the functions that it can call."""

import atexit
import json
import os
import signal
import sys
import threading
from pathlib import Path


def report(descriptor):
    """Write what the child has: descriptors, handlers, variables, module path."""
    handled = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
    files = Path("/proc/self/fd")
    found = {
        "files": sorted(str(one.readlink()) for one in files.iterdir() if is_open(one)),
        "input": str((files / "0").readlink()),
        "handled": [one is not signal.SIG_DFL for one in handled],
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "notify": os.environ.get("NOTIFY_SOCKET"),
        "path": sys.path,
    }
    os.write(descriptor, json.dumps(found).encode())


def is_open(link):
    """Return whether a descriptor was open before this folder was read, and is not standard."""
    return int(link.name) > 2 and os.path.lexists(link) and "/proc/" not in str(link.readlink())


def end_later(descriptor):
    """Return while a thread and a function at the exit have something to do."""
    leave = threading.Event()
    atexit.register(os.write, descriptor, b" exit")
    threading.Thread(target=lambda: leave.wait() and os.write(descriptor, b"thread")).start()
    leave.set()


def block(_descriptor):
    signal.pause()


def fail(_descriptor):
    raise ValueError("broken")


def run(given, descriptor):
    """Run a function of this module, or exit with a status."""
    if not isinstance(given, str):
        sys.exit(given["status"])
    return globals()[given](descriptor) or 0
