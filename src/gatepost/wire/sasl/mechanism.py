"""What all mechanisms are: `step(response)` until it is known who the client says it is.

`step` is given the client's initial response, None if there was none, and after each `Challenge`
the response to it. It ends with an `AuthAttempt`, or raises `SaslError` for what is malformed.
"""

from typing import NamedTuple, Protocol

from gatepost.model.auth_attempt import AuthAttempt

# IANA names. A client that goes by the order should not say its password.
MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")


class SaslError(ValueError):
    """A response that is not what the mechanism expects. The message has nothing of it."""


class Challenge(NamedTuple):
    """What the client is to respond to."""

    data: bytes


class Mechanism(Protocol):
    """One exchange; of no use after it has ended."""

    def step(self, response: bytes | None) -> Challenge | AuthAttempt:
        """Take a response; raises `SaslError`."""
