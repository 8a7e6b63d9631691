"""Changes to the users file: a line is replaced, added or removed.

The other lines stay as they are. A new file has mode 0600, a heading and a secret. It belongs to
the user that the server becomes.
"""

import os
import pwd
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gatepost.auth.users import SECRET, SECRET_SIZE, User, UserLineError, parse_line
from gatepost.disk.rewrite import locked, rewrite
from gatepost.lists.reloadable import EMPTY_ON_PURPOSE

HEADING = "# Users, written by `gatepost users`: name, argon2id hash, SCRAM-SHA-256 verifier\n"
EMPTY_LINE = EMPTY_ON_PURPOSE + b"\n"
MODE = 0o600


def put(path: Path, user: User, owner: str = "") -> bool:
    """Set a user's line; return whether a line was replaced. Raises OSError.

    `owner` is the owner of a new file, "" for the user that runs the command.
    """
    real = path.resolve()
    with locked(real, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE) as file:
        lines = _lines(file)
        if not lines:
            lines = [HEADING.encode(), _secret()]
            _change_owner(file, owner)
        kept = [line for line in lines if _name(line) != user.name and line != EMPTY_LINE]
        rewrite(real, file, [*kept, f"{user}\n".encode()])
    return any(_name(line) == user.name for line in lines)


def remove(path: Path, name: str) -> bool:
    """Remove a user's line; return whether there was one. Raises OSError.

    A file that loses its last user is marked as empty on purpose.
    """
    real = path.resolve()
    with locked(real, os.O_RDWR | os.O_CLOEXEC) as file:
        lines = _lines(file)
        kept = [line for line in lines if _name(line) != name]
        if len(kept) < len(lines):
            rewrite(real, file, kept if any(map(_name, kept)) else [*kept, EMPTY_LINE])
    return len(kept) < len(lines)


def _lines(file: BinaryIO) -> list[bytes]:
    return [line.rstrip(b"\r\n") + b"\n" for line in file]


def _name(line: bytes) -> str:
    """Return the user of a line, "" for a comment or a broken line, which must be kept."""
    with suppress(UserLineError):
        found = parse_line(line)
        if isinstance(found, User):
            return found.name
    return ""


def _secret() -> bytes:
    return f"{SECRET} {b64encode(os.urandom(SECRET_SIZE)).decode()}\n".encode()


def _change_owner(file: BinaryIO, owner: str) -> None:
    """Change the owner of a new file, if the user exists and this user may do so."""
    with suppress(KeyError, PermissionError):
        if owner:
            entry = pwd.getpwnam(owner)
            os.fchown(file.fileno(), entry.pw_uid, entry.pw_gid)
