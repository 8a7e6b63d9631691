"""Look-ups in trap lists of any size, and changes to them, for commands.

Look-ups are those of `gatepost.checks.known`. Changes are durable. An entry is appended in one
write. To remove one, the file is rewritten and renamed, with its owner, mode and attributes. Both
lock the file, so that two commands at the same time do not lose each other's changes.
"""

import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from gatepost.checks.known import KnownError, entries, known_recipients, matching
from gatepost.cli.shared.output import Failure, WrongUsage
from gatepost.config.schema import Config
from gatepost.disk.rewrite import append_line, locked, rewrite, sync_entry
from gatepost.lists.addresses import AddressList
from gatepost.lists.entry import (
    LineError,
    ListEntry,
    parse_line,
)
from gatepost.lists.reloadable import EMPTY_ON_PURPOSE, ListError
from gatepost.log.os_error import describe_os_error
from gatepost.model.address import Address, domain_key, local_key, without_tag
from gatepost.model.session import TrapHit
from gatepost.registry.file import FileRegistry
from gatepost.traps.table import TrapTable

list_option = click.option(
    "--list", "name", metavar="FILE", help="One of traps.lists, as written in the configuration."
)


class EntryError(ValueError):
    """The text is not an entry of a trap list; the message is what was expected."""


class LookupResult(msgspec.Struct, frozen=True):
    """The result for an address: the trap hit, or the entry that is not armed, or neither."""

    address: str
    trap: TrapHit | None
    unarmed: ListEntry | None


def parse_entry(text: str, note: str = "") -> ListEntry:
    """Parse an entry from the command line, with its note; raises `EntryError`."""
    alone = _parsed(text, text)
    entry = _parsed(f"{text.strip()} {note.strip()}".strip(), note)
    if alone is None or alone.note or alone.text != text.strip():
        raise EntryError(f"expected one address, @domain or /pattern/, found {text!r}")
    if entry is None or (entry.key, entry.note) != (alone.key, note.strip()):
        raise EntryError(f"expected a note on one line, found {note!r}")
    return entry


def typed_entry(text: str, note: str) -> ListEntry:
    """Return the entry that was typed; raises `WrongUsage`."""
    try:
        return parse_entry(text, note)
    except EntryError as error:
        raise WrongUsage(str(error)) from error


def paths(config: Config) -> list[Path]:
    """Return the paths of the trap lists."""
    return [config.path(name) for name in config.traps.lists]


def chosen(config: Config, name: str | None) -> list[Path]:
    """Return the list to change: the named one, or the first."""
    found = paths(config)
    if not found:
        raise Failure("traps.lists: expected at least one list, found none")
    if name is None:
        return found[:1]
    absolute = Path(name).absolute()
    matches = [
        path
        for path, configured in zip(found, config.traps.lists, strict=True)
        if name == configured or absolute == path.absolute()
    ]
    if not matches:
        expected = ", ".join(config.traps.lists)
        raise WrongUsage(f"--list: expected one of traps.lists ({expected}), found {name!r}")
    return matches


@contextmanager
def list_errors() -> Iterator[None]:
    """Turn a list or a table that cannot be read into a failure of the command."""
    try:
        yield
    except ListError as error:
        raise Failure(str(error)) from error
    except KnownError as error:
        raise Failure(*error.problems) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error


def _parsed(line: str, typed: str) -> ListEntry | None:
    try:
        return parse_line(line, "", 0)
    except LineError as error:
        raise EntryError(f"expected {error.expected}, found {typed!r}") from error


def look_up(config: Config, addresses: Collection[Address]) -> list[LookupResult]:
    """Return the result for each address; raises `ListError`."""
    separator = config.recipients.subaddress
    users = [without_tag(local_key(one.local), separator) for one in addresses]
    keys: set[str] = set()
    for address, user in zip(addresses, users, strict=True):
        domain = domain_key(address.domain)
        keys |= {address.key, f"{user}@{domain}", f"@{domain}"}
    lists = [matching(path, keys) for path in paths(config)]
    file = FileRegistry(config.data_dir).path
    registry = matching(file, keys) if file.exists() else AddressList()
    table = TrapTable(lists, known_recipients(config, keys), registry)
    found = [*lists, registry]
    return [_look_up_one(table, found, *pair) for pair in zip(addresses, users, strict=True)]


def _look_up_one(
    table: TrapTable, lists: list[AddressList], address: Address, user: str
) -> LookupResult:
    key, user_key = address.key, f"{user}@{domain_key(address.domain)}"
    matches = (one.find(key, user_key) for one in lists)
    unarmed = next((entry for entry in matches if entry is not None), None)
    hit = table.match(address, key, user_key, time.time())
    return LookupResult(str(address), hit, None if hit is not None else unarmed)


def append(path: Path, entry: ListEntry) -> None:
    """Append an entry to a list, and create the list if it does not exist; raises OSError."""
    with locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC) as file:
        append_line(file, f"{entry.text} {entry.note}".rstrip().encode())
    sync_entry(path)


def remove(path: Path, key: str) -> list[ListEntry]:
    """Remove every entry with this key from a list, and return them; raises OSError.

    A list that loses its last entry is marked as empty on purpose.
    """
    real = path.resolve()
    with locked(real, os.O_RDWR | os.O_CLOEXEC) as file:
        found = [entry for entry in entries(file, str(path)) if entry.key == key]
        if found:
            file.seek(0)
            lines = {entry.line for entry in found}
            left = any(entry.line not in lines for entry in entries(file, str(path)))
            file.seek(0)
            # whole lines of any length, numbered as in `entries`
            kept = (raw for number, raw in enumerate(file, start=1) if number not in lines)
            rewrite(real, file, kept if left else _marked_empty(kept))
    return found


def _marked_empty(lines: Iterable[bytes]) -> Iterator[bytes]:
    last = b"\n"
    for line in lines:
        yield line
        last = line
    yield EMPTY_ON_PURPOSE + b"\n" if last.endswith(b"\n") else b"\n" + EMPTY_ON_PURPOSE + b"\n"
