"""Verification of clients' credentials against the users file.

Plugins decide first; the users file decides if they do not. There is one authority per worker. Its
users are replaced when their file changes.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence

from gatepost.auth.passwords import PasswordChecker
from gatepost.auth.users import UserList, UsersFile
from gatepost.config.schema import AuthConfig, LimitsConfig
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.wire.sasl.mechanism import Mechanism
from gatepost.wire.sasl.plain import Login, Plain
from gatepost.wire.sasl.scram import ScramSha256

# Random octets in a server nonce: too many to repeat or to guess.
NONCE_SIZE = 18


class Authority:
    """The users and mechanisms of a worker. `plugins`: plugins check passwords too."""

    def __init__(
        self,
        auth: AuthConfig,
        limits: LimitsConfig,
        users: UsersFile | None,
        *,
        plugins: bool,
    ) -> None:
        self.clear = auth.clear
        self._mechanisms: Sequence[str] = auth.mechanisms
        self._users = users
        self._plugins = plugins
        self._passwords = PasswordChecker(limits.auth_checks)

    @property
    def users(self) -> UserList:
        """The current users."""
        return _NO_USERS if self._users is None else self._users.current

    def offered_mechanisms(self) -> Iterator[str]:
        """Yield the mechanisms that can currently work, in order."""
        users = self.users
        usable = {
            "SCRAM-SHA-256": users.has_verifiers,
            "PLAIN": self._plugins or users.has_passwords,
            "LOGIN": self._plugins or users.has_passwords,
        }
        return (name for name in self._mechanisms if usable[name])

    def begin(self, mechanism: str) -> Mechanism | None:
        """Start an exchange; return None if the mechanism is not offered."""
        return _MECHANISMS[mechanism](self) if mechanism in self.offered_mechanisms() else None

    async def verify(self, attempt: AuthAttempt) -> bool:
        """Return whether the credentials match the users file; raises `BusyError`.

        The check of an unknown user takes as long.
        """
        if attempt.password is None:
            return attempt.proven
        users = self.users
        if not users.has_passwords:
            return False
        return await self._passwords.check(users.hash(attempt.user), attempt.password)

    def close(self) -> None:
        """Release the threads."""
        self._passwords.close()


_NO_USERS = UserList()

_MECHANISMS: Mapping[str, Callable[[Authority], Mechanism]] = {
    "PLAIN": lambda _: Plain(),
    "LOGIN": lambda _: Login(),
    "SCRAM-SHA-256": lambda authority: ScramSha256(
        secrets.token_urlsafe(NONCE_SIZE), authority.users.verifier
    ),
}
