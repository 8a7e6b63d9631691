"""The users file: one line per user, with the hashes that verify the password.

    alice@example.com $argon2id$v=19$m=65536,t=3,p=4$… SCRAM-SHA-256$32768:…$…:…

The name, the argon2id hash of the password for PLAIN and LOGIN, and the verifier (RFC 5803) for
SCRAM-SHA-256. A user may have only one of the two. `#` starts a comment. A line `*secret …`
contains 32 random octets in base64. The salts for unknown users are derived from it, so that these
salts stay the same. `gatepost users` writes the file. The file is read again when it changes. A
file with a bad line is refused as a whole, and the previous version stays in force.

Security: hashes must not leave this file. No message about a line contains any part of it.
Limits: those of a list in memory, about 16,000 users; argon2id with MAX_MEMORY and MAX_TIME.
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec

from gatepost.lists.entry import LineError
from gatepost.lists.file import MemoryFile
from gatepost.lists.reloadable import ListError
from gatepost.lists.text import read_lines, with_pauses
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.prepare import prepare_name
from gatepost.wire.sasl.scram import fake_verifier
from gatepost.wire.sasl.verifier import ITERATIONS, SCHEME, Verifier, decode_base64

SECRET = "*secret"  # noqa: S105 - the keyword, not a secret
SECRET_SIZE = 32
# The maximum cost parameters of a hash: KiB and passes.
MAX_MEMORY = 1024 * 1024
MAX_TIME = 64

_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=([0-9]{1,2})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
# RFC 9106 s4, second recommended option: the default of argon2-cffi
_DEFAULT_COST = ("65536", "3", "4")


class User(msgspec.Struct, frozen=True):
    """One user. A missing hash is "", a missing verifier None."""

    name: str
    hash: str = ""
    verifier: Verifier | None = None

    def __str__(self) -> str:
        words = [self.name, self.hash, "" if self.verifier is None else str(self.verifier)]
        return " ".join(filter(None, words))

    def __repr__(self) -> str:
        return f"User({self.name!r}, ...)"


class UserLineError(ValueError):
    """A bad line of a users file; the message gives the expected syntax."""


class UserList:
    """The users of a file, by name. Without `secret`, it is derived from the file's content."""

    def __init__(self, users: Iterable[User] = (), secret: bytes = b"") -> None:
        self.users = {user.name: user for user in users}
        self.secret = secret or sha256(repr([*map(str, self)]).encode()).digest()
        self.errors: list[LineError] = []
        self.bad_lines = 0
        self.has_passwords = any(user.hash for user in self)
        verifiers = [user.verifier for user in self if user.verifier is not None]
        self.has_verifiers = bool(verifiers)
        self._iterations = verifiers[0].iterations if verifiers else ITERATIONS
        self._decoy = _decoy_hash(next((one.hash for one in self if one.hash), ""))

    def __len__(self) -> int:
        return len(self.users)

    def __iter__(self) -> Iterator[User]:
        return iter(self.users.values())

    def hash(self, name: str) -> str:
        """Return the hash of a user; for an unknown user, a decoy that no password matches."""
        user = self.users.get(name)
        return (user.hash if user is not None else "") or self._decoy

    def verifier(self, name: str) -> Verifier:
        """Return the verifier of a user; for an unknown user, a decoy that no password matches."""
        user = self.users.get(name)
        # Security: made for every name, so that the time of a challenge does not reveal users.
        decoy = fake_verifier(name, self.secret, self._iterations)
        return decoy if user is None or user.verifier is None else user.verifier


def _decoy_hash(like: str) -> str:
    """Return a hash that no password matches, with the same cost as another hash."""
    match = _ARGON2ID.fullmatch(like)
    memory, time, lanes = _DEFAULT_COST if match is None else match.groups()
    salt, output = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory},t={time},p={lanes}${salt}${output}"


class UsersFile(MemoryFile[UserList]):
    """The users file; `current` is its last good version."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_users)
        self.current = UserList()


def parse_users(file: BinaryIO, source: str) -> UserList:
    """Read the lines of a file; raises `ListError` for the first bad line."""
    users: dict[str, User] = {}
    secret = b""
    for number, raw in enumerate(with_pauses(read_lines(file)), start=1):
        try:
            found = parse_line(raw)
            if isinstance(found, User) and users.setdefault(found.name, found) is not found:
                raise UserLineError("expected one line per user")  # noqa: TRY301
        except UserLineError as error:
            raise ListError(f"{source}:{number}: {error}") from None
        secret = found if isinstance(found, bytes) else secret
    return UserList(users.values(), secret)


def parse_line(raw: bytes) -> User | bytes | None:
    """Return the user or secret of a line, None for a comment; raises `UserLineError`."""
    try:
        name, *words = raw.decode().split() or ["#"]
    except UnicodeDecodeError:
        raise UserLineError("expected UTF-8") from None
    if name.startswith("#"):
        return None
    try:
        return _secret(words) if name == SECRET else _user(parse_name(name), words)
    except SaslError as error:
        raise UserLineError(str(error)) from None


def parse_name(text: str) -> str:
    """Return the canonical form of a user name; raises `UserLineError`."""
    try:
        name = prepare_name(text.encode())
    except (SaslError, UnicodeEncodeError):
        name = "#"
    if name.startswith(("#", "*", "$")):
        raise UserLineError("expected a user name: letters, digits and punctuation, no blanks")
    return name


def _secret(words: list[str]) -> bytes:
    secret = decode_base64(words[0]) if len(words) == 1 else b""
    if len(secret) != SECRET_SIZE:
        raise UserLineError(f"expected {SECRET} and {SECRET_SIZE} octets in base64")
    return secret


def _user(name: str, words: list[str]) -> User:
    user = User(name)
    for word in words:
        if word.startswith(SCHEME) and user.verifier is None:
            user = msgspec.structs.replace(user, verifier=_verifier(word))
        elif _is_hash(word) and not user.hash:
            user = msgspec.structs.replace(user, hash=word)
        else:
            raise UserLineError("expected a name, an argon2id hash and a SCRAM-SHA-256 verifier")
    return user


def _verifier(word: str) -> Verifier:
    try:
        return Verifier.parse(word)
    except ValueError as error:
        raise UserLineError(str(error)) from None


def _is_hash(word: str) -> bool:
    match = _ARGON2ID.fullmatch(word)
    return match is not None and int(match[1]) <= MAX_MEMORY and int(match[2]) <= MAX_TIME
