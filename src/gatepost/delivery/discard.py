"""The target that takes every message and keeps none: `discard:`, for tests and for sinks."""

from gatepost.delivery.target import Delivery


class Discard:
    """Takes and drops."""

    def deliver(self, delivery: Delivery) -> None:
        """Done already, whatever it is."""
