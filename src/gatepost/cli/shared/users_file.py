"""The users file as an administrator's command changes it: a line is replaced, added or taken out.

Whatever else is in the file stays. A new one has mode 0600, a heading and a secret, and belongs to
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

HEADING = "# Users, written by `gatepost users`: name, argon2id hash, SCRAM-SHA-256 verifier\n"
MODE = 0o600


def put(path: Path, user: User, owner: str = "") -> bool:
    """Set a user's line; return whether there was one before. Raises OSError.

    `owner` is whose a new file is to be, "" for our own.
    """
    real = path.resolve()
    with locked(real, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE) as file:
        lines = _lines(file)
        if not lines:
            lines = [HEADING.encode(), _secret()]
            _give(file, owner)
        kept = [line for line in lines if _name(line) != user.name]
        rewrite(real, file, [*kept, f"{user}\n".encode()])
    return len(kept) < len(lines)


def remove(path: Path, name: str) -> bool:
    """Take a user's line out; return whether there was one. Raises OSError."""
    real = path.resolve()
    with locked(real, os.O_RDWR | os.O_CLOEXEC) as file:
        lines = _lines(file)
        kept = [line for line in lines if _name(line) != name]
        if len(kept) < len(lines):
            rewrite(real, file, kept)
    return len(kept) < len(lines)


def _lines(file: BinaryIO) -> list[bytes]:
    return [line.rstrip(b"\r\n") + b"\n" for line in file]


def _name(line: bytes) -> str:
    """Return whose line it is, "" if nobody's or broken: that one stays, for others to repair."""
    with suppress(UserLineError):
        found = parse_line(line)
        if isinstance(found, User):
            return found.name
    return ""


def _secret() -> bytes:
    return f"{SECRET} {b64encode(os.urandom(SECRET_SIZE)).decode()}\n".encode()


def _give(file: BinaryIO, owner: str) -> None:
    """Hand a new file to its owner, if there is such a user and we may."""
    with suppress(KeyError, PermissionError):
        if owner:
            who = pwd.getpwnam(owner)
            os.fchown(file.fileno(), who.pw_uid, who.pw_gid)
