"""Extensions that a next hop offers but does not handle. They are not used for a while."""

import asyncio

# Seconds. A repaired server is used in full again soon, and a faulty one is not tried each time.
DURATION = 3600.0


class Downgrades:
    """The extensions of one next hop that are not used now."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, keyword: str) -> None:
        """Do not use an extension for DURATION seconds."""
        self._until[keyword] = asyncio.get_running_loop().time() + DURATION

    def apply(self, extensions: dict[str, str]) -> None:
        """Remove the extensions that are not used now."""
        if self._until:
            now = asyncio.get_running_loop().time()
            self._until = {word: until for word, until in self._until.items() if until > now}
            for keyword in self._until:
                extensions.pop(keyword, None)
