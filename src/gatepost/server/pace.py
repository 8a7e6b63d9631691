"""How long the sender of a message may take: as long as it sends, and not ever more slowly.

Theory of operation
-------------------
A message has an account of time. It begins with `data_timeout` seconds; each second that goes by
takes one, each octet that comes gives back 1 / `min_data_rate`, but never more than was there at
first. So whoever is silent has `data_timeout`, an honest sender on a slow line may pause and catch
up, and a client that drips to hold its place is found out however regularly it drips.

Looked at once a second, and only for messages that take longer than that.
"""

from gatepost.model.session import Transaction


class Pace:
    """The account of one transaction's message; `allowance` in seconds, `rate` in octets each.

    `since` is when its content was due first.
    """

    __slots__ = ("_allowance", "_left", "_looked", "_rate", "_received", "tx")

    def __init__(
        self, tx: Transaction | None, allowance: float, rate: int, since: float, received: int
    ) -> None:
        self.tx = tx
        self._allowance = allowance
        self._rate = rate
        self._left = allowance
        self._looked = since
        self._received = received

    def overdrawn(self, now: float, received: int) -> bool:
        """Bring the account up to date; return whether nothing is left.

        `received` is all that has ever come from the client, in octets.
        """
        earned = (received - self._received) / self._rate
        self._left = min(self._left + earned, self._allowance) - (now - self._looked)
        self._looked, self._received = now, received
        return self._left < 0
