"""Give a plugin the content of a message while it arrives.

So a plugin hashes or scans the content without a second pass, and without a copy of it.

Trusts: nothing that a plugin's function does. A function that raises is not called again; the error
is raised where the plugin reads the result, and the server logs it.
"""

from collections.abc import Callable, Iterable

from gatepost.model.author import Author


class Watch:
    """Passes the content on to `update`, piece by piece; `author` is the plugin."""

    __slots__ = ("_update", "author", "error")

    def __init__(self, update: Callable[[bytes], object], author: Author) -> None:
        self._update = update
        self.author = author
        self.error: Exception | None = None

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Pass pieces on, unless the function has failed."""
        if self.error is not None:
            return
        try:
            for piece in pieces:
                self._update(piece)
        except Exception as error:  # noqa: BLE001 - a plugin's function can raise anything
            self.error = error

    def check(self) -> None:
        """Raise the error of the function, if it has failed."""
        if self.error is not None:
            raise self.error
