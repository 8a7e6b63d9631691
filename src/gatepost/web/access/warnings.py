"""Warnings of `gatepost check` about the users of the dashboard and the tokens of its API.

Files that the user of the command may not read have none.
"""

import time
from collections.abc import Iterator

from gatepost.config.schema import Config
from gatepost.ledger.words.wording import FULL, moment
from gatepost.metrics.report import EXPIRES_SOON, about
from gatepost.web.access.api_tokens import TokensFile
from gatepost.web.access.entries import EntriesError
from gatepost.web.access.users import UsersFile, WebUser


def access_warnings(config: Config) -> Iterator[str]:
    """Yield the warnings of a configuration with a dashboard."""
    for check in (_users, _tokens):
        try:
            yield from check(config)
        except EntriesError as error:
            if not isinstance(error.__cause__, PermissionError):
                yield f"web: {error}"


def _users(config: Config) -> Iterator[str]:
    file = UsersFile(config.data_dir)
    users = file.read()
    if config.web.user_header and not users:
        yield (
            f"web.user_header is set, but {file.path} has no users: a reverse proxy names users,"
            " expected `gatepost web users add NAME --no-password` for each of them"
        )
    for user in users.values():
        if not user.hash and not config.web.user_header:
            yield (
                f"{file.path}: {user.name} has no password, and web.user_header is empty: the user"
                f" cannot log in, expected `gatepost web users password {user.name}`"
            )
    if users and not any(map(_is_administrator, users.values())):
        yield f"{file.path}: no user is an administrator of all domains: traps cannot be changed"


def _is_administrator(user: WebUser) -> bool:
    return user.role == "admin" and not user.domains


def _tokens(config: Config) -> Iterator[str]:
    file, now = TokensFile(config.data_dir), time.time()
    for token in file.read().values():
        left = token.expires - now
        if left <= 0:
            yield (
                f"{file.path}: the token {token.name} expired at {moment(token.expires, FULL)}:"
                f" expected `gatepost web tokens remove {token.name}`"
            )
        elif left < EXPIRES_SOON:
            yield f"{file.path}: the token {token.name} expires in {about(left)}"
