"""Checks the paths of targets, of the queue and of the log: programs, folders, a file.

Each path is checked for the user of the server, without running a program or writing to a folder.
If a folder contains fields, the part in front of the first one is checked.

Limits: see `account`. A path that the user of the server can access, but the user of the command
cannot, gives no warning.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from gatepost.checks.account import PASS, WRITE, Account, name_of, serving
from gatepost.config.schema import Config
from gatepost.log.os_error import describe_os_error
from gatepost.process.insecure_files import changeable_by_others
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


class UnusableError(Exception):
    """A program that cannot be run, or a folder or file that cannot be written to."""


Check = Callable[[Path, Account], None]


def unusable(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield the problems of programs and folders."""
    try:
        account = serving(config)
    except KeyError:
        return  # the report has an error about the user
    for key, check, path in _paths(config, setup):
        try:
            check(path, account)
        except UnusableError as error:
            yield f"{key}: {error}"
        except PermissionError:
            continue  # not accessible for the user of the command
        except OSError as error:
            yield f"{key}: {describe_os_error(error)}"


def _paths(config: Config, setup: Setup) -> Iterator[tuple[str, Check, Path]]:
    """Yield the paths with the key that configures each, and its check."""
    for number, route in enumerate(setup.router.routes):
        for kind, path in route.target.paths():
            yield f"route[{number}].to", CHECKS[kind], path
    if any(route.spools for route in setup.router.routes):
        yield "server.data_dir", check_folder, config.data_dir / "spool"
    if config.ledger.enabled:
        yield "server.data_dir", check_folder, config.data_dir / "ledger"
    scheme, _, name = config.ledger.export.partition(":")
    if scheme == "jsonl":
        yield "ledger.export", check_file, config.path(name)
    if config.log_file is not None:
        yield "log.file", check_file, config.log_file


def check_program(path: Path, account: Account) -> None:
    """Raise `UnusableError` unless the account can run the program and others cannot replace it.

    Raise OSError if the path cannot be examined.
    """
    found, status = list(_way(path, account))[-1]
    if found != _real(path):
        raise UnusableError(f"no such file {path}, expected a program")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableError(f"{path} is not a file, expected a program")
    if not account.may(PASS, status):
        raise UnusableError(
            _denied(path, status, f"a program that the user {account.name} can run")
        )
    by = changeable_by_others(path, account.uid)
    if by is not None:
        raise UnusableError(
            f"other users can replace {path}: expected {by} to be writable only by root and its"
            " owner"
        )


def check_folder(path: Path, account: Account) -> None:
    """Raise `UnusableError` unless the account can write to the folder, or create it.

    Raise OSError if the path cannot be examined.
    """
    found, status = list(_way(path, account))[-1]
    if not stat.S_ISDIR(status.st_mode):
        raise UnusableError(f"{found} is not a folder")
    if not account.may(WRITE | PASS, status):
        use = "write to" if found == _real(path) else f"create {path} in"
        raise UnusableError(
            _denied(found, status, f"a folder that the user {account.name} can {use}")
        )


def check_file(path: Path, account: Account) -> None:
    """Raise `UnusableError` unless the account can append to the file, or create it.

    Raise OSError if the path cannot be examined.
    """
    found, status = list(_way(path, account))[-1]
    if found not in {_real(path), _real(path).parent}:
        raise UnusableError(f"no such folder {path.parent}, expected the folder of the file")
    rights, use = (WRITE, "append to") if found == _real(path) else (WRITE | PASS, "write to")
    if stat.S_ISDIR(status.st_mode) is (found == _real(path)):
        raise UnusableError(f"{found}: expected a file in a folder")
    if not account.may(rights, status):
        expected = f"that the user {account.name} can {use}"
        raise UnusableError(_denied(found, status, expected))


CHECKS: dict[str, Check] = {"program": check_program, "folder": check_folder}


def _way(path: Path, account: Account) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the existing folders on the way from / to a path, and the path itself if it exists.

    Raise `UnusableError` if the account cannot enter one of them.
    """
    real = _real(path)
    for one in (*reversed(real.parents), real):
        try:
            status = one.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        yield one, status
        if one != real and stat.S_ISDIR(status.st_mode) and not account.may(PASS, status):
            expected = f"a folder that the user {account.name} can enter, for {path}"
            raise UnusableError(_denied(one, status, expected))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _denied(path: Path, status: os.stat_result, expected: str) -> str:
    mode, owner = stat.S_IMODE(status.st_mode), name_of(status.st_uid)
    return f"{path}: its owner is {owner} and its mode {mode:o}, expected {expected}"
