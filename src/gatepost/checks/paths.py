"""What routes and the queue name on this machine: programs to run, folders that mail goes to.

Each is looked at for the account that will serve, without running a program or writing to a folder.
A folder may have fields in it: what is in front of the first is looked at.

Limits: see `account`. Where the account may go and whoever checks may not, nothing is said.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from gatepost.checks.account import PASS, WRITE, Account, name_of, serving
from gatepost.config.schema import Config
from gatepost.log.os_error import describe_os_error
from gatepost.process.root_files import find_changeable
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


class UnusableError(Exception):
    """A program that cannot be run, or a folder that nothing can be put into."""


Check = Callable[[Path, Account], None]


def unusable(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield what is wrong with programs and folders."""
    try:
        account = serving(config)
    except KeyError:
        return  # the user is what is to be told of
    for key, path, check in _places(config, setup):
        try:
            check(path, account)
        except UnusableError as error:
            yield f"{key}: {error}"
        except PermissionError:
            continue  # what we may not look at ourselves
        except OSError as error:
            yield f"{key}: {describe_os_error(error)}"


def _places(config: Config, setup: Setup) -> Iterator[tuple[str, Path, Check]]:
    """Yield where it is configured, what it is, and how to look at it."""
    for number, route in enumerate(setup.router.routes):
        key = f"route[{number}].to"
        if program := getattr(route.target, "program", None):
            yield key, program, check_program
        if template := getattr(route.target, "template", None):
            yield key, template.fixed, check_folder
    if any(route.spools for route in setup.router.routes):
        yield "server.data_dir", config.data_dir / "spool", check_folder


def check_program(path: Path, account: Account) -> None:
    """Raise `UnusableError` unless it is a program that the account may run and others not replace.

    Raises OSError where we cannot look ourselves.
    """
    found, status = list(_way(path, account))[-1]
    if found != _real(path):
        raise UnusableError(f"there is no file {path}, expected a program")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableError(f"{path} is no file, expected a program")
    if not account.may(PASS, status):
        raise UnusableError(
            _denied(path, status, f"a program that the user {account.name} may run")
        )
    by = find_changeable(path, (0, account.uid, status.st_uid))
    if by is not None:
        raise UnusableError(
            f"others can replace {path}: expected {by} to be writable by root and its owner only"
        )


def check_folder(path: Path, account: Account) -> None:
    """Raise `UnusableError` unless the account may write to the folder, or make it.

    Raises OSError where we cannot look ourselves.
    """
    found, status = list(_way(path, account))[-1]
    if not stat.S_ISDIR(status.st_mode):
        raise UnusableError(f"{found} is no folder")
    if not account.may(WRITE | PASS, status):
        use = "write to" if found == _real(path) else f"make {path} in"
        raise UnusableError(_denied(found, status, f"one that the user {account.name} may {use}"))


def _way(path: Path, account: Account) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what there is on the way to a path, from / on, at last the path itself if it is there.

    Raises `UnusableError` where the account gets no further.
    """
    real = _real(path)
    for one in (*reversed(real.parents), real):
        try:
            status = one.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        yield one, status
        if one != real and stat.S_ISDIR(status.st_mode) and not account.may(PASS, status):
            expected = f"one that the user {account.name} may enter, for {path}"
            raise UnusableError(_denied(one, status, expected))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _denied(path: Path, status: os.stat_result, expected: str) -> str:
    mode, owner = stat.S_IMODE(status.st_mode), name_of(status.st_uid)
    return f"{path}: its owner is {owner} and its mode {mode:o}, expected {expected}"
