"""The user who runs a command."""

import getpass
import os

from gatepost.registry import trap


def author() -> str:
    """Return the user who runs the command, as a word."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # no entry in the user database
        name = str(os.geteuid())
    return trap.author(name, "unknown")
