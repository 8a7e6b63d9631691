"""The sessions of the dashboard, in `web/sessions.json` of the data folder.

A browser has a random token in a cookie, the file its hash: a copy of the file lets no one in. The
sessions survive the end of the process. A session ends at its time, at the logout, when its user is
removed or gets another password, and when MOST newer ones exist.
"""

import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from gatepost.disk.durable import ensure_private, replace_file
from gatepost.web.access.entries import FOLDER
from gatepost.web.access.users import WebUser

MOST = 1000
TOKEN_OCTETS = 32


class Session(msgspec.Struct, frozen=True):
    """A login: its user, a mark of their password, and its end in seconds since 1970."""

    user: str
    mark: str
    expires: float


class Sessions:
    """All sessions by the hash of their token; `clock` returns seconds since 1970."""

    def __init__(self, data: Path, seconds: float, clock: Callable[[], float]) -> None:
        self._path = data / FOLDER / "sessions.json"
        self._seconds = seconds
        self._clock = clock
        self._sessions = self._read()

    def start(self, user: WebUser) -> str:
        """Start a session of a user; return its token. Raises OSError."""
        token = secrets.token_urlsafe(TOKEN_OCTETS)
        end = self._clock() + self._seconds
        self._sessions[identity_of(token)] = Session(user.name, _mark(user), end)
        self._write()
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, None if it has none or it is over."""
        found = self._sessions.get(identity_of(token))
        return found if found is not None and found.expires > self._clock() else None

    def end(self, token: str) -> None:
        """End a session, if it exists. Raises OSError."""
        if self._sessions.pop(identity_of(token), None) is not None:
            self._write()

    def _read(self) -> dict[str, Session]:
        """Return the sessions of the file; without a file that can be read there are none."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Session])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def _write(self) -> None:
        now = self._clock()
        alive = {name: one for name, one in self._sessions.items() if one.expires > now}
        self._sessions = dict(list(alive.items())[-MOST:])
        ensure_private(self._path.parent)
        replace_file(self._path, msgspec.json.encode(self._sessions))


def identity_of(token: str) -> str:
    """Return the name of a session by its token, which cannot be found from the name."""
    return sha256(token.encode(errors="replace")).hexdigest()


def belongs_to(session: Session, user: WebUser) -> bool:
    """Return whether a session is of this user, with the password that they have now."""
    return session.user == user.name and secrets.compare_digest(session.mark, _mark(user))


def _mark(user: WebUser) -> str:
    return sha256(user.hash.encode()).hexdigest()[:16]
