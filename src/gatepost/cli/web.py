"""`gatepost web`: the users of the dashboard, and the tokens of its HTTP API."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gatepost.cli.shared.author import author
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line, print_table
from gatepost.cli.shared.passwords import password_option, read_password
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.units import UnitError, format_duration, parse_duration
from gatepost.ledger.words.wording import FULL, moment
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import AddressError, domain_key, parse_domain
from gatepost.web.access.api_tokens import ApiToken, TokensFile, hash_of, new_token
from gatepost.web.access.command_events import CommandEvent, CommandEvents, EventName
from gatepost.web.access.entries import EntriesError, EntriesFile
from gatepost.web.access.users import (
    ROLES,
    Role,
    UsersFile,
    WebUser,
    parse_name,
    with_password,
)

# The longest lifetime of a token: ten years.
LONGEST = 3650 * 86400.0

_role_option = click.option(
    "--role",
    type=click.Choice(ROLES),
    default="viewer",
    show_default=True,
    help="A viewer reads, an admin also changes.",
)
_domain_option = click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="Show only mail from or to this domain; can be repeated. Default: all mail.",
)


@click.group(cls=SuggestingGroup, epilog="Example: gatepost web users add alice --role admin")
def command() -> None:
    """Manage the dashboard and its HTTP API."""


@command.group("users", cls=SuggestingGroup, epilog="Example: gatepost web users list")
def users() -> None:
    """List, add and remove the users of the dashboard.

    A running server uses a change at the next request.
    """


@users.command("list", epilog="Example: gatepost web users list --json")
@config_option
@json_option
def list_users(file: Path, *, as_json: bool) -> None:
    """Print the users, their roles and domains."""
    with _errors():
        found = list(_file(file).read().values())
    if as_json:
        print_json([_as_data(one) for one in found])
    else:
        rows = [
            [one.name, one.role, " ".join(one.domains) or "all", "yes" if one.hash else "no"]
            for one in found
        ]
        print_table(("user", "role", "domains", "password"), rows)


def _as_data(user: WebUser) -> dict[str, object]:
    return {
        "user": user.name,
        "role": user.role,
        "domains": list(user.domains),
        "password": bool(user.hash),
    }


@users.command(
    "add", epilog="Example: gatepost web users add bob --role viewer --domain example.com"
)
@click.argument("name")
@_role_option
@_domain_option
@click.option(
    "--no-password",
    is_flag=True,
    help="For a user that a reverse proxy authenticates (web.user_header).",
)
@password_option
@config_option
def add(
    name: str,
    *,
    role: Role,
    domains: Sequence[str],
    no_password: bool,
    from_stdin: bool,
    file: Path,
) -> None:
    """Add a user, who must not exist yet. Prompts for the password, of at least 12 characters."""
    users_file = _file(file)
    user = WebUser(_name(name), role, [_domain(one) for one in domains])
    with _errors():
        if user.name in users_file.read():
            raise Failure(f"{user.name} exists already: remove the user first, or use password")
        if not no_password:
            user = _with_password(user, from_stdin=from_stdin)
        users_file.put(user, read_config(file).server.user)
        _record(file, EventName.USER_ADDED, user)
    print_line(f"{user.name} added to {users_file.path}")


@users.command("password", epilog="Example: gatepost web users password alice")
@click.argument("name")
@password_option
@config_option
def password(name: str, *, from_stdin: bool, file: Path) -> None:
    """Change the password of a user, and end their sessions."""
    users_file = _file(file)
    with _errors():
        user = users_file.read().get(_name(name))
        if user is None:
            raise Failure(f"{name} is not in {users_file.path}")
        users_file.put(_with_password(user, from_stdin=from_stdin))
        _record(file, EventName.PASSWORD_CHANGED, user)
    print_line(f"{user.name} has a new password in {users_file.path}")


@users.command("remove", epilog="Example: gatepost web users remove alice")
@click.argument("name")
@config_option
def remove(name: str, *, file: Path) -> None:
    """Remove a user, and end their sessions."""
    _remove(file, _file(file), name, EventName.USER_REMOVED)


@command.group("tokens", cls=SuggestingGroup, epilog="Example: gatepost web tokens list")
def tokens() -> None:
    """List, add and remove the tokens of programs that use the HTTP API.

    A running server uses a change at the next request.
    """


@tokens.command("list", epilog="Example: gatepost web tokens list --json")
@config_option
@json_option
def list_tokens(file: Path, *, as_json: bool) -> None:
    """Print the names of the tokens, their roles, domains and when they expire."""
    with _errors():
        found = list(_tokens(file).read().values())
    if as_json:
        print_json([_token_data(one) for one in found])
    else:
        rows = [[one.name, one.role, " ".join(one.domains) or "all", _end(one)] for one in found]
        print_table(("token", "role", "domains", "expires"), rows)


def _token_data(token: ApiToken) -> dict[str, object]:
    return {
        "token": token.name,
        "role": token.role,
        "domains": list(token.domains),
        "expires": token.expires,
    }


def _end(token: ApiToken) -> str:
    text = moment(token.expires, FULL)
    return text if token.expires > time.time() else f"{text}, expired"


@tokens.command("add", epilog="Example: gatepost web tokens add backup-mx --role admin")
@click.argument("name")
@_role_option
@_domain_option
@click.option(
    "--lifetime",
    default="90d",
    show_default=True,
    metavar="DURATION",
    help='How long the token is valid, such as "30d".',
)
@config_option
def add_token(name: str, *, role: Role, domains: Sequence[str], lifetime: str, file: Path) -> None:
    """Add a token, and print it. It is not stored, so that it cannot be printed again."""
    tokens_file, text = _tokens(file), new_token()
    expires = time.time() + _lifetime(lifetime)
    token = ApiToken(_name(name), hash_of(text), expires, role, [_domain(one) for one in domains])
    with _errors():
        if token.name in tokens_file.read():
            raise Failure(f"{token.name} exists already: remove the token first")
        tokens_file.put(token, read_config(file).server.user)
        _record(file, EventName.TOKEN_ADDED, token)
    print_line(text)


def _lifetime(text: str) -> float:
    try:
        found = parse_duration(text)
    except UnitError as error:
        raise WrongUsage(f"--lifetime: {error}") from error
    if not 0 < found <= LONGEST:
        raise WrongUsage(f"--lifetime: expected a duration up to {format_duration(LONGEST)}")
    return found


@tokens.command("remove", epilog="Example: gatepost web tokens remove backup-mx")
@click.argument("name")
@config_option
def remove_token(name: str, *, file: Path) -> None:
    """Remove a token, which is then not valid any more."""
    _remove(file, _tokens(file), name, EventName.TOKEN_REMOVED)


def _remove(config_file: Path, entries: EntriesFile[Any], text: str, event: EventName) -> None:
    name = _name(text)
    with _errors():
        entry = entries.read().get(name)
        if entry is None or not entries.remove(name):
            raise Failure(f"{name} is not in {entries.path}")
        _record(config_file, event, entry)
    print_line(f"{name} removed from {entries.path}")


def _record(config_file: Path, event: EventName, entry: WebUser | ApiToken) -> None:
    """Record a change for the ledger and the log; raises OSError."""
    config = read_config(config_file)
    detail = " ".join([entry.name, entry.role, *entry.domains])
    CommandEvents(config.data_dir).add(
        CommandEvent(time.time(), event, author(), detail), config.server.user
    )


def _tokens(config_file: Path) -> TokensFile:
    return TokensFile(read_config(config_file).data_dir)


def _file(config_file: Path) -> UsersFile:
    return UsersFile(read_config(config_file).data_dir)


def _with_password(user: WebUser, *, from_stdin: bool) -> WebUser:
    text = read_password(user.name, from_stdin=from_stdin).decode(errors="surrogateescape")
    try:
        return with_password(user, text)
    except ValueError as error:
        raise WrongUsage(str(error)) from error


def _name(text: str) -> str:
    try:
        return parse_name(text)
    except ValueError as error:
        raise WrongUsage(f"{error}, found {text!r}") from error


def _domain(text: str) -> str:
    try:
        return domain_key(parse_domain(text))
    except (ValueError, AddressError) as error:
        raise WrongUsage(
            f'--domain: expected a domain such as "example.com", found {text!r}'
        ) from error


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except EntriesError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
