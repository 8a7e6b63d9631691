"""The reaction of a plugin to what it finds: refuse, defer, hold, add points, or nothing.

class Options(Plugin.Options):
    fail: Reaction = Reaction("deny")
    softfail: Reaction = Reaction(2)
"""

import math
from typing import Any

from gatepost.model.decision import Decision, defer, deny, hold

DENY, DEFER, HOLD, NONE = "deny", "defer", "hold", "none"
_WORDS = (DENY, DEFER, HOLD, NONE)
EXPECTED = '"deny", "defer", "hold", "none" or a number of points'


class Reaction:
    """One of "deny", "defer", "hold", "none", or a number of points for the score.

    A negative number is in favour. Raises ValueError for anything else. `score` is the number of
    points, 0 without any.
    """

    __slots__ = ("score", "word")

    def __init__(self, value: "str | float | Reaction" = NONE) -> None:
        self.word = NONE
        self.score = 0.0
        if isinstance(value, Reaction):
            self.word, self.score = value.word, value.score
        elif isinstance(value, str) and value in _WORDS:
            self.word = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.score = float(value)
        else:
            raise ValueError(f"expected {EXPECTED}")
        if not math.isfinite(self.score):
            raise ValueError(f"expected {EXPECTED}")

    def decide(
        self, text: str | None = None, *, enhanced: str = "5.7.1", reason: str = "", **more: Any
    ) -> Decision | None:
        """Return the decision, None without one.

        `enhanced` is the code of a refusal; a deferral has the same with the class 4. `more` are
        arguments of `deny` and `defer`. "hold" needs a `reason`, and uses nothing else.
        """
        if self.word == DENY:
            return deny(text, enhanced=enhanced, reason=reason, **more)
        if self.word == DEFER:
            return defer(text, enhanced=f"4{enhanced[1:]}", reason=reason, **more)
        if self.word == HOLD:
            return hold(reason)
        return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reaction):
            return NotImplemented
        return (self.word, self.score) == (other.word, other.score)

    def __hash__(self) -> int:
        return hash((self.word, self.score))

    def __str__(self) -> str:
        return f"{self.score:g}" if self.score else self.word

    def __repr__(self) -> str:
        return f"Reaction({self.score:g})" if self.score else f'Reaction("{self.word}")'
