"""Tokens of forms, and the token of the link for the first user.

The token of a form is derived from the session and a key in `web/key` of the data folder. A page of
another site cannot read it, so it cannot send a form in the name of a user (CSRF).
"""

import hmac
import secrets
from hashlib import sha256

from gatepost.web.access.sessions import TOKEN_OCTETS


class FormTokens:
    """Makes and checks the tokens of forms."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, session: str) -> str:
        """Return the token of a session by its name."""
        return hmac.new(self._key, f"form {session}".encode(), sha256).hexdigest()

    def is_valid(self, session: str, token: str) -> bool:
        """Return whether a token is that of a session."""
        return hmac.compare_digest(self.make(session).encode(), token.encode(errors="replace"))


class FirstToken:
    """The token with which the first user is added: of this process, and used once."""

    def __init__(self) -> None:
        self.value = secrets.token_urlsafe(TOKEN_OCTETS)

    def is_valid(self, token: str) -> bool:
        """Return whether a token is this one, and not used yet."""
        given = token.encode(errors="replace")
        return bool(self.value) and hmac.compare_digest(self.value.encode(), given)

    def use(self) -> None:
        """Make the token invalid."""
        self.value = ""
