"""`gatepost web users`: the users of the dashboard."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line, print_table
from gatepost.cli.shared.passwords import password_option, read_password
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import AddressError, domain_key, parse_domain
from gatepost.web.access.users import (
    ROLES,
    Role,
    UsersError,
    UsersFile,
    WebUser,
    parse_name,
    with_password,
)


@click.group(cls=SuggestingGroup, epilog="Example: gatepost web users add alice --role admin")
def command() -> None:
    """Manage the dashboard."""


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
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="viewer",
    show_default=True,
    help="A viewer reads, an admin also changes.",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="Show only mail from or to this domain; can be repeated. Default: all mail.",
)
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
    print_line(f"{user.name} has a new password in {users_file.path}")


@users.command("remove", epilog="Example: gatepost web users remove alice")
@click.argument("name")
@config_option
def remove(name: str, *, file: Path) -> None:
    """Remove a user, and end their sessions."""
    users_file, user_name = _file(file), _name(name)
    with _errors():
        removed = users_file.remove(user_name)
    if not removed:
        raise Failure(f"{user_name} is not in {users_file.path}")
    print_line(f"{user_name} removed from {users_file.path}")


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
    except UsersError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
