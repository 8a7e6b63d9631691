"""The registry of traps for commands: who changes it, and what speaks against arming a trap."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from gatepost.checks import arming
from gatepost.cli.shared.author import author
from gatepost.cli.shared.ledger_files import open_ledger
from gatepost.cli.shared.output import Failure, WrongUsage
from gatepost.cli.shared.trap_lists import list_errors
from gatepost.config.schema import Config
from gatepost.log.os_error import describe_os_error
from gatepost.registry.file import FileRegistry
from gatepost.registry.registry import NoSuchTrapError, UnchangedError
from gatepost.registry.trap import RegisteredTrap, key_of
from gatepost.traps.notes import TrapState


def open_registry(config: Config) -> FileRegistry:
    """Return the registry of a configuration; its traps are not read yet."""
    return FileRegistry(config.data_dir)


def entry_of(text: str) -> str:
    """Return the canonical entry that was typed; raises `WrongUsage`."""
    try:
        return key_of(text)
    except ValueError as error:
        raise WrongUsage(str(error)) from error


@contextmanager
def written(config: Config, entry: str) -> Iterator[None]:
    """Turn errors of a change into a failure of the command."""
    try:
        yield
    except NoSuchTrapError as error:
        raise Failure(f"{entry} is {error}: gatepost traps add registers it") from error
    except UnchangedError as error:
        raise Failure(f"{entry} is {error}") from error
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    except OSError as error:
        raise Failure(f"{config.data_dir}: {describe_os_error(error)}") from error


def retire(config: Config, entry: str, reason: str) -> bool:
    """Retire a registered trap; return whether there was one to retire. Raises `Failure`."""
    registry = open_registry(config)
    with written(config, entry):
        states = registry.history(entry)
        if not states or states[-1].state == TrapState.RETIRED.value:
            return False
        registry.set_state(entry, TrapState.RETIRED, author(), reason)
    return True


def found_objections(config: Config, entry: str, now: float) -> list[str]:
    """Return what speaks against arming an entry; raises `Failure`."""
    with list_errors():
        return arming.found_objections(config, entry, now, partial(open_ledger, config))


def as_data(one: RegisteredTrap) -> dict[str, object]:
    """Return a trap for JSON."""
    return {
        "trap": one.entry,
        "class": one.trap_class,
        "state": one.state,
        "expires": one.expires,
        "exempt": list(one.exempt),
        "reason": one.reason,
        "by": one.by,
        "at": one.at,
    }
