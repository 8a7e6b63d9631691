"""The plugin that runs: the author of what is done to a message and to its recipients.

It is looked up only when a plugin does something. Most methods do nothing, and must cost nothing.
"""

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any, Protocol

import msgspec


class Author(Protocol):
    """The name of a plugin, "" if it is unknown; with `shadow` what it does has no effect."""

    @property
    def plugin(self) -> str:
        """Return the name."""

    @property
    def shadow(self) -> bool:
        """Return whether the plugin is in shadow mode."""

    def lifts_hold(self, tx: Any, reason: str) -> bool:
        """Return whether `gatepost allow` takes the effect from a hold, and record that."""


class Named(msgspec.Struct, frozen=True):
    """An author that is known by its name."""

    plugin: str = ""
    shadow: bool = False

    def lifts_hold(self, _tx: Any, _reason: str) -> bool:
        """Return False: what the server itself does is not lifted."""
        return False


UNKNOWN = Named()


class Turn(msgspec.Struct, frozen=True, eq=False):
    """The plugin whose turn it is: the one of `authors` that the iterator `calls` has passed last.

    `calls` ends with the last of them, but need not have begun with the first.
    """

    authors: Sequence[Author]
    calls: Iterator[Author]

    @property
    def index(self) -> int:
        """The number of the plugin, from 0."""
        return len(self.authors) - 1 - length_hint(self.calls)

    @property
    def plugin(self) -> str:
        """The name of the plugin."""
        return self.authors[self.index].plugin

    @property
    def shadow(self) -> bool:
        """True if the plugin is in shadow mode."""
        return self.authors[self.index].shadow

    def lifts_hold(self, tx: Any, reason: str) -> bool:
        """See `Author.lifts_hold`."""
        return self.authors[self.index].lifts_hold(tx, reason)
