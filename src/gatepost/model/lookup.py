"""Look-ups: the results of `on_lookup`, whether a recipient exists.

`None` is no opinion. `local()` is an existing mailbox of a local domain, `unknown()` is a mailbox
that does not exist in a local domain.
"""

import msgspec


class Lookup(msgspec.Struct, frozen=True):
    """The result of a look-up; `text` is the text of the reply if the mailbox does not exist."""

    exists: bool
    text: str | None = None


_LOCAL = Lookup(exists=True)


def local() -> Lookup:
    """Return that the domain is local and the mailbox exists."""
    return _LOCAL


def unknown(text: str | None = None) -> Lookup:
    """Return that the domain is local and the mailbox does not exist: 550 5.1.1 with `text`."""
    return Lookup(exists=False, text=text)
