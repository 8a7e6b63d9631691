"""The parts that all pages share: users, sessions, tokens, the threads of queries.

Limits: QUERIES at the same time, as many wait; further ones are refused. A query takes the time of
`source`. PASSWORDS are checked at the same time.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import NamedTuple, TypeVar

from starlette.requests import Request

from gatepost.auth.passwords import PasswordChecker
from gatepost.auth.users import UserList
from gatepost.config.schema import Config
from gatepost.disk.durable import ensure_private
from gatepost.ledger.privacy import load_key
from gatepost.web.access.api_tokens import TokensFile
from gatepost.web.access.attempts import Attempts
from gatepost.web.access.client import Client, client_of
from gatepost.web.access.entries import FOLDER, EntriesError
from gatepost.web.access.sessions import Sessions, belongs_to, identity_of
from gatepost.web.access.tokens import FirstToken, FormTokens
from gatepost.web.access.users import UsersFile, WebUser
from gatepost.web.audit import Audit
from gatepost.web.live.live import LiveData
from gatepost.web.trials import Trials

QUERIES = 4
PASSWORDS = 2
COOKIE = "gatepost_session"

T = TypeVar("T")


class BusyError(Exception):
    """Too many queries are running or waiting."""


class Visitor(NamedTuple):
    """A user at a client; `token` is that of their forms, `session` the cookie, "" for a proxy."""

    user: WebUser
    client: Client
    token: str
    session: str = ""

    @property
    def identity(self) -> str:
        """The name of the session, without its token."""
        return identity_of(self.session) if self.session else f"proxy {self.user.name}"


class Site:
    """One dashboard. Raises OSError if its folder cannot be used."""

    def __init__(self, config: Config, audit: Audit) -> None:
        self.config = config
        self.audit = audit
        folder = ensure_private(config.data_dir / FOLDER)
        self.users = UsersFile(config.data_dir)
        self.api_tokens = TokensFile(config.data_dir)
        self.sessions = Sessions(config.data_dir, config.web.session, time.time)
        key = load_key(folder)
        self.tokens = FormTokens(key)
        self.live = LiveData(config.data_dir, key)
        self.first = FirstToken()
        self.attempts = Attempts(time.monotonic)
        self.passwords = PasswordChecker(PASSWORDS)
        # Its hash for unknown users takes as long to check as that of a user.
        self.decoys = UserList()
        self.trials = Trials()
        self._threads = ThreadPoolExecutor(QUERIES, "gatepost-web")
        self._free = BoundedSemaphore(2 * QUERIES)

    def first_link(self, base: str) -> str:
        """Return the link for the first user, "" if there is one or a proxy authenticates."""
        if not base or self.config.web.user_header or self._has_users():
            return ""
        return f"{base}/first?token={self.first.value}"

    def _has_users(self) -> bool:
        """Return whether there are users; those that cannot be read are some."""
        try:
            return bool(self.users.read())
        except EntriesError:
            return True

    def visitor(self, request: Request) -> Visitor | None:
        """Return the user of a request, None without a login. Raises `EntriesError`."""
        client = client_of(request, self.config.web)
        users = self.users.read()
        if client.user:
            user = users.get(client.user.lower())
            return None if user is None else self._proxied(user, client)
        cookie = request.cookies.get(COOKIE, "")
        session = self.sessions.find(cookie) if cookie else None
        user = users.get(session.user) if session is not None else None
        if session is None or user is None or not belongs_to(session, user):
            return None
        return Visitor(user, client, self.tokens.make(identity_of(cookie)), cookie)

    def _proxied(self, user: WebUser, client: Client) -> Visitor:
        return Visitor(user, client, self.tokens.make(f"proxy {user.name}"))

    def allows(self, visitor: Visitor, token: str) -> bool:
        """Return whether a form of a visitor has the right token."""
        return self.tokens.is_valid(visitor.identity, token)

    async def run(self, query: Callable[[], T]) -> T:
        """Run a query in a thread; raises `BusyError`."""
        if not self._free.acquire(blocking=False):
            raise BusyError
        work = self._threads.submit(query)
        work.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Release the threads."""
        self.live.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.passwords.close()
