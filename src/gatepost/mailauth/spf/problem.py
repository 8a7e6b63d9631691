"""The errors inside of a check: wrong syntax, and a check that cannot go on."""

from typing import Literal


class ExpectedError(ValueError):
    """A text does not have the expected syntax; the message is what was expected."""


class SpfError(Exception):
    """A check ends with the result `word`; the message is the reason."""

    def __init__(self, word: Literal["temperror", "permerror"], reason: str) -> None:
        super().__init__(reason)
        self.word: Literal["temperror", "permerror"] = word
