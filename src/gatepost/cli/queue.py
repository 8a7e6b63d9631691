"""`gatepost queue`: queued and held mail, with or without a running server."""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import (
    Failure,
    WrongUsage,
    plain_table,
    print_content,
    print_error,
    print_json,
    print_line,
)
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.model.headers import Headers
from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import QueueChange, QueueEntry, Selection
from gatepost.queue.spool.corrupt import CorruptFile, corrupt_files
from gatepost.queue.spool.sql.content import DamagedContentError
from gatepost.queue.spool.sql.schema import VersionError

# Octets of a message in which `show` looks for the end of the header block.
HEADER_LIMIT = 64 * 1024
NO_LIMIT = 1 << 62
PROGRESS_INTERVAL = 1.0  # seconds

T = TypeVar("T")

_COLUMNS = ("message", "state", "next attempt", "attempts", "size", "recipient")


def _with_selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select recipients."""
    options = (
        click.argument("names", nargs=-1, metavar="[MESSAGE]..."),
        click.option("--destination", metavar="NAME", help="Select recipients at this next hop."),
        click.option(
            "--recipient", metavar="ADDRESS", help="Select this address; * matches any characters."
        ),
        click.option(
            "--sender",
            metavar="ADDRESS",
            help='Select this sender; "" is the null reverse-path.',
        ),
        click.option("--state", type=click.Choice(["queued", "held"]), help="Select this state."),
        config_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


all_option = click.option("--all", "everything", is_flag=True, help="Select all mail.")


@click.group(cls=SuggestingGroup, epilog="Example: gatepost queue list --state held")
def command() -> None:
    """Show and change queued and held mail."""


@command.command("list", epilog="Example: gatepost queue list --recipient '*@example.com'")
@_with_selection
@click.option("--limit", default=50, show_default=True, help="Print at most this many recipients.")
@click.option("--after", default="", metavar="MESSAGE", help="Start after this message.")
def list_(*, file: Path, as_json: bool, limit: int, after: str, **conditions: Any) -> None:
    """List the recipients of queued and held mail.

    Below each recipient are the sender and the next hop, and the last reply. MESSAGE is a number
    from the list, or a reference. Damaged spool files are reported on standard error.
    """
    config, selection = read_config(file), Selection(**conditions)
    with _errors():
        found = list(admin.entries(_folder(config), selection, limit, after))
        corrupt = corrupt_files(_folder(config))
    if as_json:
        print_json([_as_data(one) for one in found])
    elif found:
        _print_list(found)
        if len(found) == limit:
            print_line(f"There may be more: use --after {found[-1].name} or a higher --limit")
    else:
        print_line("Mail queue is empty" if selection.is_everything else "No matching mail")
    for one in corrupt:
        print_error(_describe(one))


def _describe(corrupt: CorruptFile) -> str:
    if not corrupt.is_recovered:
        return f"{corrupt.path}: damaged, a running server recovers the readable messages"
    count = "unknown" if corrupt.unreadable is None else corrupt.unreadable
    return f"{corrupt.path}: damaged, recovery finished, incomplete messages: {count}"


@command.command("show", epilog="Example: gatepost queue show 1-17")
@click.argument("name", metavar="MESSAGE")
@click.option(
    "--content",
    is_flag=True,
    help="Print the message instead: byte for byte, but escaped on a terminal.",
)
@config_option
@json_option
def show(name: str, *, content: bool, file: Path, as_json: bool) -> None:
    """Print envelope, header and the last replies of a message."""
    folder = _folder(read_config(file))
    with _errors(), admin.open_message(folder, name) as message:
        if message is None:
            raise Failure(f"{name}: no such message in {folder}")
        facts, pieces = message
        if content:
            print_content(pieces)
            return
        recipients = list(admin.entries(folder, Selection(names=[name]), NO_LIMIT))
        envelope, damage = _readable(
            lambda: msgspec.json.decode(facts, type=dict[str, Any]), dict[str, Any]()
        )
        header, problem = _readable(lambda: _header(next(pieces, b"")), Headers(b""))
    damage = damage or problem
    if not recipients:
        raise Failure(f"{name}: damaged: no recipients")
    if as_json:
        data = {"facts": envelope, "header": list(header), "damage": damage}
        print_json(data | {"recipients": [_as_data(one) for one in recipients]})
    else:
        _print_message(envelope, recipients, header, damage)


def _readable(read: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """Return a part of a message, or a default and the problem if it is unreadable."""
    try:
        return read(), ""
    except (
        DamagedContentError,
        ValueError,
        TypeError,
    ) as error:  # those of msgspec are ValueErrors
        return otherwise, str(error)


def _print_message(
    facts: dict[str, Any], recipients: list[QueueEntry], header: Headers, damage: str
) -> None:
    one = recipients[0]
    peer = facts.get("peer", {})
    print_line(f"message   {one.name}")
    print_line(f"reference {one.ref}")
    print_line(f"sender    <{one.sender}>")
    print_line(f"client    {peer.get('host', '')} {facts.get('helo', '')}")
    print_line(f"received  {_time(one.received)}")
    print_line(f"expires   {_time(one.expires)}")
    print_line(f"size      {_size(one.size)}")
    if damage:
        print_line(f"damaged   {damage}")
    for each in recipients:
        print_line()
        print_line(f"recipient <{each.recipient}>")
        print_line(
            f"state     {each.state}" + (f", next attempt {_time(each.due)}" if each.due else "")
        )
        print_line(f"next hop  {each.destination}")
        print_line(f"attempts  {each.attempts}")
        print_line(f"reply     {each.reply}")
        print_line(f"reason    {each.reason}")
    print_line()
    for field, value in header:
        print_line(f"{field}: {value}")


@command.command("retry", epilog="Example: gatepost queue retry --destination lmtp://127.0.0.1:24")
@_with_selection
@all_option
def retry(**options: Any) -> None:
    """Retry queued mail now, even if the next hop is suspended."""
    _change(admin.RETRY, "scheduled for immediate delivery", **options)


@command.command("hold", epilog="Example: gatepost queue hold 1-17")
@_with_selection
@all_option
def hold(**options: Any) -> None:
    """Hold queued mail until it is released."""
    _change(admin.HOLD, "held", **options)


@command.command("release", epilog="Example: gatepost queue release 1-17")
@_with_selection
@all_option
def release(**options: Any) -> None:
    """Queue held mail again; it expires after queue.expire from now."""
    _change(admin.RELEASE, "released", **options)


@command.command("remove", epilog="Example: gatepost queue remove --state held --sender ''")
@_with_selection
@all_option
def remove(**options: Any) -> None:
    """Remove mail permanently, without a notification to the sender."""
    _change(admin.REMOVE, "removed", **options)


def _change(
    change: QueueChange,
    done: str,
    *,
    file: Path,
    as_json: bool,
    everything: bool,
    **conditions: Any,
) -> None:
    selection = Selection(**conditions)
    if selection.is_everything != everything:
        raise WrongUsage("expected messages, options that select some, or only --all")
    config = read_config(file)
    expires = time.time() + config.queue.expire
    with _errors():
        count = _sum(admin.apply(_folder(config), selection, change, expires))
    if as_json:
        print_json({"recipients": count})
    else:
        print_line(f"{count} {'recipient' if count == 1 else 'recipients'} {done}")
    if selection.names and not count:
        raise Failure(f"{', '.join(selection.names)}: no such message, or not in that state")


def _sum(counts: Iterator[int]) -> int:
    """Return the sum; on a terminal, print the progress of a long change."""
    total, shown = 0, time.monotonic()
    for count in counts:
        total += count
        if sys.stderr.isatty() and time.monotonic() >= shown + PROGRESS_INTERVAL:
            shown = time.monotonic()
            sys.stderr.write(f"\rgatepost: {total:,} recipients so far")
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return total


def _folder(config: Config) -> Path:
    return config.data_dir / "spool"


@contextmanager
def _errors() -> Iterator[None]:
    """Turn errors of the spool into a failure of the command."""
    try:
        yield
    except DamagedContentError as error:
        raise Failure(f"damaged: {error}") from error
    except (sqlite3.Error, OSError, VersionError) as error:
        notes = "".join(f": {note}" for note in getattr(error, "__notes__", ()))
        raise Failure(f"cannot access the spool{notes}: {error}") from error


def _header(beginning: bytes) -> Headers:
    return Headers(beginning[:HEADER_LIMIT].partition(b"\r\n\r\n")[0])


def _as_data(entry: QueueEntry) -> dict[str, Any]:
    times = {name: _time(getattr(entry, name)) for name in ("received", "expires", "due")}
    data = entry._asdict() | times | {"message": entry.name, "state": entry.state}
    return {name: value for name, value in data.items() if name not in ("name", "row")}


def _print_list(entries: list[QueueEntry]) -> None:
    """Print a table, and below each row what would make it too wide for a terminal."""
    rows = [_as_row(one) for one in entries]
    headers, *lines = plain_table(_COLUMNS, rows)
    print_line(headers)
    for line, entry in zip(lines, entries, strict=True):
        print_line(line)
        print_line(f"    from <{entry.sender}> to {entry.destination}")
        if entry.reply or entry.reason:
            print_line(f"    {entry.reply or entry.reason}")


def _as_row(entry: QueueEntry) -> list[str]:
    return [
        entry.name,
        entry.state,
        _time(entry.due) or "",
        str(entry.attempts),
        _size(entry.size),
        f"<{entry.recipient}>",
    ]


def _size(octets: int) -> str:
    """Return a size as text; the value of a damaged row is returned unchanged."""
    return format_size(octets) if isinstance(octets, int) else str(octets)


def _time(seconds: float | None) -> str | None:
    """Return a time as text; the value of a damaged row is returned unchanged."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, TypeError, OverflowError, OSError):
        return str(seconds)
