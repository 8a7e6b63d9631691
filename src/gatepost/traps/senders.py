"""Senders of bounces and other automatic answers, by the reverse-path alone.

A forged message makes innocent servers answer to an address that never wrote to them. Such an
answer proves nothing about a recipient that was found by a rule. Most have the null sender (RFC
5321 section 4.5.5); many servers put a name of their own there.

Limits: robots with the address of a person are not recognised; that needs the content.
"""

import re

_ROBOTS = frozenset(
    {
        "autoreply",
        "auto-reply",
        "double-bounce",
        "mailer-daemon",
        "mailerdaemon",
        "postmaster",
        "vacation",
    }
)
_BOUNCES = re.compile(r"bounces?(?:$|[^a-z])", re.IGNORECASE)


def is_automatic(local: str) -> bool:
    """Return whether the local part of a reverse-path, "" for the null sender, is of a robot."""
    return not local or local.lower() in _ROBOTS or _BOUNCES.match(local) is not None
