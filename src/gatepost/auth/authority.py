"""Who decides whether a client is whom it says it is: the users file, and plugins before it.

Made once per worker; the users change under it as their file does.
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

# Octets of chance in a server's nonce: more than a client can wait for.
NONCE_SIZE = 18


class Authority:
    """What a worker knows of users. `plugins` is whether plugins are asked for passwords."""

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
        """The users there are now."""
        return _NOBODY if self._users is None else self._users.current

    def offered_mechanisms(self) -> Iterator[str]:
        """Yield the mechanisms that can work now, in order."""
        users = self.users
        works = {
            "SCRAM-SHA-256": users.has_verifiers,
            "PLAIN": self._plugins or users.has_passwords,
            "LOGIN": self._plugins or users.has_passwords,
        }
        return (name for name in self._mechanisms if works[name])

    def begin(self, mechanism: str) -> Mechanism | None:
        """Begin an exchange; None if the mechanism is not offered."""
        return _MECHANISMS[mechanism](self) if mechanism in self.offered_mechanisms() else None

    async def verify(self, attempt: AuthAttempt) -> bool:
        """Whether the attempt has what the users file asks for. Raises `BusyError`.

        Takes as long for a user who does not exist.
        """
        if attempt.password is None:
            return attempt.proven
        users = self.users
        if not users.has_passwords:
            return False
        return await self._passwords.check(users.hash(attempt.user), attempt.password)

    def close(self) -> None:
        """Let go of the threads."""
        self._passwords.close()


_NOBODY = UserList()

_MECHANISMS: Mapping[str, Callable[[Authority], Mechanism]] = {
    "PLAIN": lambda _: Plain(),
    "LOGIN": lambda _: Login(),
    "SCRAM-SHA-256": lambda authority: ScramSha256(
        secrets.token_urlsafe(NONCE_SIZE), authority.users.verifier
    ),
}
