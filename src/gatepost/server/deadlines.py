"""Deadlines of a client: for commands, for content, for a session.

Theory of operation
-------------------
There is no timer for a connection: about once a second all of them are checked. `since` is when the
client was last answered. Octets that are no complete command do not extend its time: a line that
never ends counts as silence.

The content of a message has an account of time. It starts with `data_timeout` seconds; each second
costs one, and each octet adds 1 / `min_data_rate`, but never more than there was at first. So a
silent client has `data_timeout`, a client on a slow line may pause and catch up, and a client that
sends one octet now and then runs out of time however regularly it does.
"""

from gatepost.config.schema import LimitsConfig
from gatepost.model.session import Transaction

# What a client needs to read a refusal and close, in seconds.
LINGER = 5.0


class Pace:
    """The time account of one transaction's content.

    `allowance` is in seconds, `rate` in octets per second; `since` is when content was first
    expected.
    """

    __slots__ = ("_allowance", "_checked", "_left", "_rate", "_received", "tx")

    def __init__(
        self, tx: Transaction | None, allowance: float, rate: int, since: float, received: int
    ) -> None:
        self.tx = tx
        self._allowance = allowance
        self._rate = rate
        self._left = allowance
        self._checked = since
        self._received = received

    def overdrawn(self, now: float, received: int) -> bool:
        """Bring the account up to date; return whether nothing is left.

        `received` is the number of octets that the client has ever sent.
        """
        earned = (received - self._received) / self._rate
        self._left = min(self._left + earned, self._allowance) - (now - self._checked)
        self._checked, self._received = now, received
        return self._left < 0


class Deadlines:
    """The deadlines of one connection.

    Its methods return the key of the limit that has passed, "" if none has.
    """

    __slots__ = ("_limits", "_pace", "_started", "since")

    def __init__(self, limits: LimitsConfig, now: float) -> None:
        self._limits = limits
        self._started = self.since = now
        self._pace: Pace | None = None

    def for_handshake(self, now: float) -> str:
        """Check a TLS handshake."""
        late = now - self.since > self._limits.handshake_timeout
        return "handshake_timeout" if late else ""

    def for_content(self, now: float, tx: Transaction | None, received: int) -> str:
        """Check a client that is sending content; `received` as in `Pace.overdrawn`."""
        limits, pace = self._limits, self._pace
        if now - self._started > limits.session_timeout:
            return "session_timeout"
        if pace is None or pace.tx is not tx:
            allowance, rate = limits.data_timeout, limits.min_data_rate
            pace = self._pace = Pace(tx, allowance, rate, self.since, received)
        return "data_timeout" if pace.overdrawn(now, received) else ""

    def for_command(self, now: float) -> str:
        """Check a client that is to send a command, or to read its replies."""
        if now - self._started > self._limits.session_timeout:
            return "session_timeout"
        return "command_timeout" if now - self.since > self._limits.command_timeout else ""
