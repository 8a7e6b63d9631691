"""The users of the dashboard, in `web/users` of the data folder: one JSON object per line.

A user has a role, domains that limit what they see (none: everything), and the argon2id hash of a
password. A user without a hash can log in through a reverse proxy only. `gatepost web users` writes
the file, and a running server uses a change at the next request.

Security: hashes must not leave this file, and no error has any part of a line. A file that cannot
be read lets no user in.
"""

import os
import pwd
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gatepost.auth.passwords import hash_password
from gatepost.disk.durable import ensure_private
from gatepost.disk.rewrite import locked, rewrite
from gatepost.log.os_error import describe_os_error
from gatepost.web.scope import Scope
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.prepare import prepare_name, prepare_password

Role: TypeAlias = Literal["viewer", "admin"]
ROLES: Sequence[Role] = ("viewer", "admin")
# Characters of a password: NIST SP 800-63B requires 8, and 15 without a second factor.
SHORTEST_PASSWORD = 12
FOLDER = "web"
FILE = "users"
_MODE = 0o600


class UsersError(Exception):
    """The file cannot be used; the message names the file and the line."""


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
_decode = msgspec.json.Decoder(WebUser).decode


class UsersFile:
    """The file in the data folder `data`; `read` returns its current users."""

    def __init__(self, data: Path) -> None:
        self.path = data / FOLDER / FILE
        self._seen: tuple[int, int, int] | None = None
        self._users: Users = {}

    def read(self) -> Users:
        """Return the users by name; raises `UsersError`."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsersError(describe_os_error(error)) from error
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if identity != self._seen:
            self._users = _parse(self.path)
            self._seen = identity
        return self._users

    def put(self, user: WebUser, owner: str = "") -> bool:
        """Add or replace a user; return whether one was replaced. Raises OSError, `UsersError`.

        `owner` is the owner of new files, "" for the user that runs the command.
        """
        self._make_folder(owner)
        with locked(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE) as file:
            _give_to(owner, file.fileno())
            users = dict(_parse(self.path))
            replaced = user.name in users
            users[user.name] = user
            rewrite(self.path, file, map(_line, users.values()))
        return replaced

    def add_first(self, user: WebUser) -> bool:
        """Add the first user; return False if there is one already. Raises as `put`."""
        self._make_folder("")
        with locked(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE) as file:
            if _parse(self.path):
                return False
            rewrite(self.path, file, [_line(user)])
        return True

    def remove(self, name: str) -> bool:
        """Remove a user; return whether there was one. Raises OSError, `UsersError`."""
        if not self.path.exists():
            return False
        with locked(self.path, os.O_RDWR | os.O_CLOEXEC) as file:
            users = dict(_parse(self.path))
            removed = users.pop(name, None)
            if removed is not None:
                rewrite(self.path, file, map(_line, users.values()))
        return removed is not None

    def _make_folder(self, owner: str) -> None:
        folder = self.path.parent
        new = [one for one in (folder, *folder.parents) if not one.exists()]
        ensure_private(folder)
        for one in new:
            _give_to(owner, one)


def _parse(path: Path) -> Users:
    """Return the users of a file; raises `UsersError`."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsersError(describe_os_error(error)) from error
    users: dict[str, WebUser] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            user = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UsersError(
                f"{path}:{number}: expected a user, as `gatepost web users` writes it"
            ) from None
        users[user.name] = user
    return users


def _line(user: WebUser) -> bytes:
    return msgspec.json.encode(user) + b"\n"


def _give_to(owner: str, file: int | Path) -> None:
    """Change the owner of a file, if the user exists and this user may do so."""
    with suppress(KeyError, PermissionError):
        if owner:
            entry = pwd.getpwnam(owner)
            os.chown(file, entry.pw_uid, entry.pw_gid)


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
