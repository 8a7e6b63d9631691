"""The target `discard:`, which accepts every message and keeps none, for tests and for sinks."""

from gatepost.delivery.target import Delivery, Target


class DiscardTarget(Target):
    """Accepts messages and drops them."""

    def deliver(self, delivery: Delivery) -> None:
        """Do nothing."""
