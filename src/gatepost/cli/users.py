"""`gatepost users`: the users that can authenticate."""

import os
from pathlib import Path

import click

from gatepost.auth.passwords import make_user
from gatepost.auth.users import UserLineError, UsersFile, parse_name
from gatepost.cli.shared import users_file
from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import Failure, WrongUsage, print_json, print_line, print_table
from gatepost.cli.shared.passwords import password_option, read_password
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.lists.reloadable import ListError
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.verifier import SALT_SIZE


@click.group(cls=SuggestingGroup, epilog="Example: gatepost users add alice@example.com")
def command() -> None:
    """List, add and remove the users that can authenticate (AUTH)."""


@command.command("list", epilog="Example: gatepost users list --json")
@config_option
@json_option
def list_users(file: Path, *, as_json: bool) -> None:
    """Print the users and the mechanisms that each can use."""
    users = UsersFile(_path(read_config(file)))
    try:
        users.load()
    except ListError as error:
        raise Failure(str(error)) from error
    if as_json:
        print_json(
            [
                {"user": one.name, "password": bool(one.hash), "scram": one.verifier is not None}
                for one in users.current
            ]
        )
    else:
        rows = [
            [one.name, "yes" if one.hash else "no", "yes" if one.verifier else "no"]
            for one in users.current
        ]
        print_table(("user", "PLAIN, LOGIN", "SCRAM-SHA-256"), rows)


@command.command(
    "add", epilog="Example: pass show mail/alice | gatepost users add alice --password-stdin"
)
@click.argument("name")
@password_option
@config_option
def add(name: str, *, from_stdin: bool, file: Path) -> None:
    """Add a user, or change the password of one. Prompts for the password.

    The server uses it within a second.
    """
    config = read_config(file)
    path, user_name = _path(config), _name(name)
    password = read_password(user_name, from_stdin=from_stdin)
    try:
        user = make_user(user_name, password, os.urandom(SALT_SIZE))
    except SaslError as error:
        raise WrongUsage(f"the password: {error}") from error
    try:
        changed = users_file.put(path, user, config.server.user)
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from error
    done = "has a new password in" if changed else "added to"
    print_line(f"{user.name} {done} {path}")


@command.command("remove", epilog="Example: gatepost users remove alice@example.com")
@click.argument("name")
@config_option
def remove(name: str, *, file: Path) -> None:
    """Remove a user. Sessions that are already authenticated continue."""
    path, user_name = _path(read_config(file)), _name(name)
    try:
        removed = users_file.remove(path, user_name)
    except OSError as error:
        raise Failure(f"{path}: cannot be changed: {error.strerror}") from error
    if not removed:
        raise Failure(f"{user_name} is not in {path}")
    print_line(f"{user_name} removed from {path}")


def _path(config: Config) -> Path:
    if not config.auth.users:
        raise Failure(
            "auth.users is not set: expected a file for the users that log in, as in [auth] users ="
            ' "users.auth"; known recipients are in recipients.known and need no password'
        )
    return config.path(config.auth.users)


def _name(text: str) -> str:
    try:
        return parse_name(text)
    except UserLineError as error:
        raise WrongUsage(f"{error}, found {text!r}") from error
