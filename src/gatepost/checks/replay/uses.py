"""The services that plugins use and a replay does not have, and a count of their uses."""

from collections import Counter

DNS, STORE, OUTSIDE = "DNS", "the store", "the network or a program"


class Uses:
    """The uses of services that a replay does not have.

    `now` has (plugin, what) of the session that is being played, `all` the numbers of all of them.
    The plugin is "" if it is not known. `unable` are the plugins that could not start.
    """

    def __init__(self) -> None:
        self.now: set[tuple[str, str]] = set()
        self.unable: set[str] = set()
        self.all: Counter[tuple[str, str]] = Counter()

    def note(self, plugin: str, what: str) -> None:
        """Note a use."""
        self.now.add((plugin, what))
        self.all[plugin, what] += 1
