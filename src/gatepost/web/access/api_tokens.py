"""The tokens of programs that use the HTTP API, in `web/tokens` of the data folder.

A token has a name, a role, domains that limit what it sees and changes (none: everything), and the
time when it expires. The program has the token, the file its hash: a copy of the file lets no
program in. A token is random and long, so its hash needs no salt and no slow function.
"""

import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from starlette.requests import Request

from gatepost.web.access.entries import EntriesFile
from gatepost.web.access.users import Role
from gatepost.web.scope import Scope

FILE = "tokens"
# By this beginning, programs that look for secrets in files find tokens.
PREFIX = "gatepost_"
_OCTETS = 32


class ApiToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token; `expires` is in seconds since 1970. `domains` are in canonical form."""

    name: str
    hash: str
    expires: float
    role: Role = "viewer"
    domains: Sequence[str] = ()

    @property
    def scope(self) -> Scope:
        """The mail that the token is for."""
        return Scope(frozenset(self.domains))

    def __repr__(self) -> str:
        return f"ApiToken({self.name!r}, {self.role!r}, {self.domains!r}, ...)"


class TokensFile(EntriesFile[ApiToken]):
    """The file in the data folder `data`."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, FILE, ApiToken, "a token")

    def find(self, text: str) -> ApiToken | None:
        """Return the entry of a token, which may have expired; raises `EntriesError`."""
        hashed = hash_of(text)
        found = (one for one in self.read().values() if secrets.compare_digest(one.hash, hashed))
        return next(found, None)


def bearer(request: Request) -> str:
    """Return the token in the header field Authorization (RFC 6750), "" without one."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def new_token() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(_OCTETS)


def hash_of(text: str) -> str:
    """Return the hash of a token, from which it cannot be found."""
    return sha256(text.encode(errors="replace")).hexdigest()
