"""The interface of all mechanisms: call `step(response)` until it returns an `AuthAttempt`.

The first call takes the initial response, or None if there is none. Each later call takes the
response to the previous `Challenge`. A malformed response raises `SaslError`.
"""

from typing import NamedTuple, Protocol

from gatepost.model.auth_attempt import AuthAttempt

# IANA names. A client that tries them in order does not send its password first.
MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")


class SaslError(ValueError):
    """A response is malformed. The message contains no part of it."""


class Challenge(NamedTuple):
    """The octets that the client must respond to."""

    data: bytes


class Mechanism(Protocol):
    """One exchange. Use a new object for the next."""

    def step(self, response: bytes | None) -> Challenge | AuthAttempt:
        """Process a response. Raises `SaslError`."""
