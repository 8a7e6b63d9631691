"""`gatepost queue`: mail that is queued or held, with a server that runs or without."""

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

from gatepost.cli.shared.output import (
    Failure,
    WrongUsage,
    print_error,
    print_json,
    print_line,
    print_table,
)
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.model.headers import Headers
from gatepost.queue.spool import admin
from gatepost.queue.spool.admin import Change, Entry, Selection
from gatepost.queue.spool.content import DamagedError
from gatepost.queue.spool.corrupt import CorruptFiles, all_aside
from gatepost.queue.spool.schema import VersionError

# What is shown of a message's content is its header block, if that is not longer.
SHOWN = 64 * 1024
EVERYTHING = 1 << 62
BEAT = 1.0  # seconds between two signs of life

T = TypeVar("T")

_HEADERS = ("message", "state", "due", "attempts", "size", "from", "to", "next hop", "last reply")


def _chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which recipients are meant."""
    options = (
        click.argument("names", nargs=-1, metavar="[MESSAGE]..."),
        click.option("--destination", metavar="NAME", help="Of this next hop."),
        click.option("--recipient", metavar="ADDRESS", help="For this address; * is anything."),
        click.option(
            "--sender", metavar="ADDRESS", help='From this address; "" is the null reverse-path.'
        ),
        click.option("--state", type=click.Choice(["queued", "held"]), help="In this state."),
        config_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


all_option = click.option("--all", "everything", is_flag=True, help="All there is.")


@click.group(epilog="Example: gatepost queue list --state held")
def command() -> None:
    """Show and change mail that is queued or held."""


@command.command("list", epilog="Example: gatepost queue list --recipient '*@example.com'")
@_chosen
@click.option("--limit", default=50, show_default=True, help="How many, at most.")
@click.option("--after", default="", metavar="MESSAGE", help="Only those behind this one.")
def list_(*, file: Path, as_json: bool, limit: int, after: str, **chosen: Any) -> None:
    """Print recipients that mail is queued or held for, a line for each.

    Messages are named by number, as the list shows them, or by reference. Files that were damaged
    and set aside are told of on standard error.
    """
    config = read_config(file)
    with _errors():
        found = list(admin.entries(_folder(config), Selection(**chosen), limit, after))
        aside = all_aside(_folder(config))
    if as_json:
        print_json([_as_data(one) for one in found])
    elif found:
        print_table(_HEADERS, [_as_row(one) for one in found])
        if len(found) == limit:
            print_line(f"There may be more: --after {found[-1].name}, or a higher --limit")
    else:
        print_line(
            "nothing is queued or held" if Selection(**chosen).is_everything else "no such mail"
        )
    for one in aside:
        print_error(_about(one))


def _about(aside: CorruptFiles) -> str:
    if not aside.done:
        return f"{aside.path}: damaged, what can be read is put back while a server runs"
    count = "an unknown number" if aside.unreadable is None else aside.unreadable
    return f"{aside.path}: was damaged, something could not be read of messages: {count}"


@command.command("show", epilog="Example: gatepost queue show 1-17")
@click.argument("name", metavar="MESSAGE")
@click.option("--content", is_flag=True, help="Print the message itself, octet by octet.")
@config_option
@json_option
def show(name: str, *, content: bool, file: Path, as_json: bool) -> None:
    """Print a message's envelope, what was last said of each recipient, and its header."""
    folder = _folder(read_config(file))
    with _errors(), admin.opened(folder, name) as message:
        if message is None:
            raise Failure(f"{name}: no such message in {folder}")
        facts, pieces = message
        if content:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            return
        recipients = list(admin.entries(folder, Selection(names=[name]), EVERYTHING))
        known, damage = _readable(
            lambda: msgspec.json.decode(facts, type=dict[str, Any]), dict[str, Any]()
        )
        header, problem = _readable(lambda: _header(next(pieces, b"")), Headers(b""))
    damage = damage or problem
    if not recipients:
        raise Failure(f"{name}: damaged: it has no recipients")
    if as_json:
        data = {"facts": known, "header": list(header), "damage": damage}
        print_json(data | {"recipients": [_as_data(one) for one in recipients]})
    else:
        _say_message(known, recipients, header, damage)


def _readable(read: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """Return what can be read of a message, and what is wrong where that is nothing."""
    try:
        return read(), ""
    except (DamagedError, ValueError, TypeError) as error:  # msgspec's are ValueErrors
        return otherwise, str(error)


def _say_message(
    facts: dict[str, Any], recipients: list[Entry], header: Headers, damage: str
) -> None:
    one = recipients[0]
    peer = facts.get("peer", {})
    print_line(f"message   {one.name}")
    print_line(f"reference {one.ref}")
    print_line(f"from      <{one.sender}>")
    print_line(f"client    {peer.get('host', '')} {facts.get('helo', '')}")
    print_line(f"received  {_time(one.received)}")
    print_line(f"expires   {_time(one.expires)}")
    print_line(f"size      {_size(one.size)}")
    if damage:
        print_line(f"damaged   {damage}")
    for each in recipients:
        print_line()
        print_line(f"to        <{each.recipient}>")
        print_line(f"state     {each.state}" + (f", due {_time(each.due)}" if each.due else ""))
        print_line(f"next hop  {each.destination}")
        print_line(f"attempts  {each.attempts}")
        print_line(f"reply     {each.reply}")
        print_line(f"reason    {each.reason}")
    print_line()
    for field, value in header:
        print_line(f"{field}: {value}")


@command.command("retry", epilog="Example: gatepost queue retry --destination lmtp://127.0.0.1:24")
@_chosen
@all_option
def retry(**options: Any) -> None:
    """Try queued mail now, also at a next hop that is left alone for a while."""
    _change(admin.RETRY, "to be tried now", **options)


@command.command("hold", epilog="Example: gatepost queue hold 1-17")
@_chosen
@all_option
def hold(**options: Any) -> None:
    """Have queued mail wait until it is released."""
    _change(admin.HOLD, "held", **options)


@command.command("release", epilog="Example: gatepost queue release 1-17")
@_chosen
@all_option
def release(**options: Any) -> None:
    """Queue held mail again; it has queue.expire from now."""
    _change(admin.RELEASE, "released", **options)


@command.command("remove", epilog="Example: gatepost queue remove --state held --sender ''")
@_chosen
@all_option
def remove(**options: Any) -> None:
    """Remove mail for good. Nobody is told."""
    _change(admin.REMOVE, "removed", **options)


def _change(
    what: Change, done: str, *, file: Path, as_json: bool, everything: bool, **conditions: Any
) -> None:
    chosen = Selection(**conditions)
    if chosen.is_everything != everything:
        raise WrongUsage("expected messages, options that choose some, or --all and neither")
    config = read_config(file)
    expires = time.time() + config.queue.expire
    with _errors():
        count = _sum(admin.change(_folder(config), chosen, what, expires))
    if as_json:
        print_json({"recipients": count})
    else:
        print_line(f"{count} {'recipient' if count == 1 else 'recipients'} {done}")
    if chosen.names and not count:
        raise Failure(f"{', '.join(chosen.names)}: no such message, or not in that state")


def _sum(counts: Iterator[int]) -> int:
    """Return the sum; says how far it is where that takes a while and somebody looks."""
    total, shown = 0, time.monotonic()
    for count in counts:
        total += count
        if sys.stderr.isatty() and time.monotonic() >= shown + BEAT:
            shown = time.monotonic()
            sys.stderr.write(f"\rgatepost: {total:,} recipients so far")
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return total


def _folder(config: Config) -> Path:
    return config.data_dir / "spool"


@contextmanager
def _errors() -> Iterator[None]:
    """Turn a spool that cannot be read or written into a failure of the command."""
    try:
        yield
    except DamagedError as error:
        raise Failure(f"damaged: {error}") from error
    except (sqlite3.Error, OSError, VersionError) as error:
        notes = "".join(f": {note}" for note in getattr(error, "__notes__", ()))
        raise Failure(f"the spool cannot be used{notes}: {error}") from error


def _header(beginning: bytes) -> Headers:
    return Headers(beginning[:SHOWN].partition(b"\r\n\r\n")[0])


def _as_data(entry: Entry) -> dict[str, Any]:
    times = {name: _time(getattr(entry, name)) for name in ("received", "expires", "due")}
    data = entry._asdict() | times | {"message": entry.name, "state": entry.state}
    return {name: value for name, value in data.items() if name not in ("name", "row")}


def _as_row(entry: Entry) -> list[str]:
    return [
        entry.name,
        entry.state,
        _time(entry.due) or "",
        str(entry.attempts),
        _size(entry.size),
        f"<{entry.sender}>",
        f"<{entry.recipient}>",
        entry.destination,
        entry.reply or entry.reason,
    ]


def _size(octets: int) -> str:
    """Return a size; what a damaged row has in its place as it is."""
    return format_size(octets) if isinstance(octets, int) else str(octets)


def _time(seconds: float | None) -> str | None:
    """Return a time; what a damaged row has in its place as it is."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, TypeError, OverflowError, OSError):
        return str(seconds)
