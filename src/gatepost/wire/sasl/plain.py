"""PLAIN (RFC 4616), one response, and LOGIN (draft-murchison-sasl-login), two responses.

Security: the client sends the password itself. Only the `AuthAttempt` contains it.
"""

from gatepost.model.auth_attempt import AuthAttempt
from gatepost.wire.sasl.mechanism import Challenge, SaslError
from gatepost.wire.sasl.prepare import prepare_name, prepare_password


class Plain:
    """One response: [authzid] NUL authcid NUL passwd."""

    __slots__ = ()

    def step(self, response: bytes | None) -> Challenge | AuthAttempt:
        """See `Mechanism.step`."""
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise SaslError("expected [authzid] NUL user NUL password")
        authzid = prepare_name(parts[0]) if parts[0] else ""
        user, password = prepare_name(parts[1]), prepare_password(parts[2])
        return AuthAttempt("PLAIN", user, password, authzid=authzid)


class Login:
    """Two responses: the user name, which may be the initial response, and the password."""

    __slots__ = ("_user",)

    def __init__(self) -> None:
        self._user = ""

    def step(self, response: bytes | None) -> Challenge | AuthAttempt:
        """See `Mechanism.step`."""
        if response is None:
            return Challenge(b"Username:")
        if not self._user:
            self._user = prepare_name(response)
            return Challenge(b"Password:")
        return AuthAttempt("LOGIN", self._user, prepare_password(response))
