"""The user who runs a command, for the history of what it changes."""

import getpass
import os

from gatepost.registry import trap


def author() -> str:
    """Return the name of the user, as a word."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # no entry in the user database
        name = str(os.geteuid())
    return trap.author(name, "unknown")
