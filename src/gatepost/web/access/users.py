"""The users of the dashboard, in `web/users` of the data folder: one JSON object per line.

A user has a role, domains that limit what they see (none: everything), and the argon2id hash of a
password. A user without a hash can log in through a reverse proxy only.

Security: hashes must not leave this file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gatepost.auth.passwords import hash_password
from gatepost.web.access.entries import EntriesFile
from gatepost.web.scope import Scope
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.prepare import prepare_name, prepare_password

Role: TypeAlias = Literal["viewer", "admin"]
ROLES: Sequence[Role] = ("viewer", "admin")
# Characters of a password: NIST SP 800-63B requires 8, and 15 without a second factor.
SHORTEST_PASSWORD = 12
FILE = "users"


class WebUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user. `domains` are in canonical form."""

    name: str
    role: Role = "viewer"
    domains: Sequence[str] = ()
    hash: str = ""

    @property
    def scope(self) -> Scope:
        """The mail that the user may see."""
        return Scope(frozenset(self.domains))

    def __repr__(self) -> str:
        return f"WebUser({self.name!r}, {self.role!r}, {self.domains!r}, ...)"


Users = Mapping[str, WebUser]


class UsersFile(EntriesFile[WebUser]):
    """The file in the data folder `data`; `read` returns its current users."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, FILE, WebUser, "a user")


def parse_name(text: str) -> str:
    """Return the canonical form of a name; raises ValueError with what was expected."""
    try:
        return prepare_name(text.encode())
    except (SaslError, UnicodeEncodeError):
        raise ValueError(
            "expected a user name: letters, digits and punctuation, no blanks"
        ) from None


def parse_password(text: str) -> str:
    """Return a password in the form that is hashed; raises ValueError with what was expected."""
    try:
        prepared = prepare_password(text.encode())
    except (SaslError, UnicodeEncodeError) as error:
        raise ValueError(f"password: {error}") from None
    if len(prepared) < SHORTEST_PASSWORD:
        raise ValueError(f"expected a password of at least {SHORTEST_PASSWORD} characters")
    return prepared


def with_password(user: WebUser, text: str) -> WebUser:
    """Return a user with another password; raises ValueError. Slow by design."""
    return msgspec.structs.replace(user, hash=hash_password(parse_password(text)))
