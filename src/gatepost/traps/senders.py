"""Senders of bounces and other automatic answers, by the reverse-path alone.

A forged message makes innocent servers answer to an address that never wrote to them. Such an
answer proves nothing about a recipient that was found by a rule. Most have the null sender (RFC
5321 section 4.5.5); many servers put a name of their own there.

Limits: robots with the address of a person are not recognised; that needs the content.
"""

import re
from typing import Final

_ROBOTS: Final = frozenset(
    {
        "",
        "autoreply",
        "auto-reply",
        "bounce",
        "bounces",
        "double-bounce",
        "mailer-daemon",
        "mailerdaemon",
        "postmaster",
        "vacation",
    }
)
_RETURN_PATH = re.compile(r"bounces?[^a-z]", re.IGNORECASE)


def is_robot(local: str) -> bool:
    """Return whether the local part of a reverse-path, "" for the null sender, is of a robot."""
    return local.lower() in _ROBOTS


def is_automatic(local: str) -> bool:
    """Return whether it is of a robot, or a return path of its own for each message (VERP).

    Some servers bounce with `bounce-7@`. Bulk mail has such return paths too, so this is too wide
    where a spammer could profit from it.
    """
    return is_robot(local) or _RETURN_PATH.match(local) is not None
