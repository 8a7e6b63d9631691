"""How long mail waits, in the words of the configuration."""

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True):
    """Who we are, and how long mail waits, in seconds.

    `delay_notice` is 0 where no sender is told of a delay; `subaddress` separates user and tag.
    """

    hostname: str
    expire: float
    delay_notice: float
    subaddress: str

    @property
    def horizon(self) -> float:
        """How far away anything that happens to a message can be."""
        return max(self.expire, self.delay_notice)
