"""`gatepost queue`: queued and held mail, with or without a running server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gatepost.cli.shared.lazy import SuggestingGroup
from gatepost.cli.shared.output import Failure, print_content, print_error, print_json, print_line
from gatepost.cli.shared.queue_changes import NO_LIMIT, change, chosen, print_chosen
from gatepost.cli.shared.queue_listing import (
    as_data,
    held_text,
    print_list,
    size_text,
    time_text,
)
from gatepost.cli.shared.queue_options import (
    all_option,
    dry_run_option,
    selection,
    spool_errors,
    spool_folder,
    with_selection,
)
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.model.headers import Headers
from gatepost.plugin.methods import Lesson
from gatepost.queue.spool import admin, changes
from gatepost.queue.spool.admin import QueueEntry, Selection
from gatepost.queue.spool.corrupt import CorruptFile, corrupt_files
from gatepost.queue.spool.sql.content import DamagedContentError

# Octets of a message in which `show` looks for the end of the header block.
HEADER_LIMIT = 64 * 1024

T = TypeVar("T")


def _changes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that change what is selected."""
    return with_selection(all_option(dry_run_option(command)))


@click.group(cls=SuggestingGroup, epilog="Example: gatepost queue list --held --reason virus")
def command() -> None:
    """Show and change queued and held mail."""


@command.command("list", epilog="Example: gatepost queue list --recipient '*@example.com'")
@with_selection
@click.option("--limit", default=50, show_default=True, help="Print at most this many recipients.")
@click.option("--after", default="", metavar="MESSAGE", help="Start after this message.")
def list_(*, file: Path, as_json: bool, limit: int, after: str, **conditions: Any) -> None:
    """List the recipients of queued and held mail.

    Below each recipient are the sender and the next hop, and the last reply. MESSAGE is a number
    from the list, or a reference. Damaged spool files are reported on standard error.
    """
    selected, config = selection(**conditions), read_config(file)
    with spool_errors():
        found = list(admin.entries(spool_folder(config), selected, limit, after))
        corrupt = corrupt_files(spool_folder(config))
    if as_json:
        print_json([as_data(one) for one in found])
    elif found:
        print_list(found)
        if len(found) == limit:
            print_line(f"There may be more: use --after {found[-1].name} or a higher --limit")
    else:
        print_line("Mail queue is empty" if selected.is_everything else "No matching mail")
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
    folder = spool_folder(read_config(file))
    with spool_errors(), admin.open_message(folder, name) as message:
        if message is None:
            raise Failure(f"{name}: no such message in {folder}")
        if content:
            print_content(message.pieces)
            return
        recipients = list(admin.entries(folder, Selection(names=[name]), NO_LIMIT))
        envelope, damage = _readable(
            lambda: msgspec.json.decode(message.facts, type=dict[str, Any]), dict[str, Any]()
        )
        header, problem = _readable(lambda: _header(next(message.pieces, b"")), Headers(b""))
    damage = damage or problem
    if not recipients:
        raise Failure(f"{name}: damaged: no recipients")
    if as_json:
        data = {"facts": envelope, "header": list(header), "damage": damage}
        print_json(data | {"recipients": [as_data(one) for one in recipients]})
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
    print_line(f"received  {time_text(one.received)}")
    print_line(f"expires   {time_text(one.expires)}")
    print_line(f"size      {size_text(one.size)}")
    if damage:
        print_line(f"damaged   {damage}")
    for each in recipients:
        print_line()
        print_line(f"recipient <{each.recipient}>")
        print_line(
            f"state     {each.state}"
            + (f", next attempt {time_text(each.due)}" if each.due else "")
        )
        if held := held_text(each):
            print_line(f"held      {held}")
        print_line(f"next hop  {each.destination}")
        print_line(f"attempts  {each.attempts}")
        print_line(f"reply     {each.reply}")
        print_line(f"reason    {each.reason}")
    print_line()
    for field, value in header:
        print_line(f"{field}: {value}")


@command.command("retry", epilog="Example: gatepost queue retry --destination lmtp://127.0.0.1:24")
@_changes
def retry(**options: Any) -> None:
    """Retry queued mail now, even if the next hop is suspended."""
    change(chosen(**options), changes.RETRY, "scheduled for immediate delivery")


@command.command("hold", epilog="Example: gatepost queue hold 1-17")
@_changes
def hold(**options: Any) -> None:
    """Hold queued mail until it is released."""
    change(chosen(**options), changes.HOLD, "held")


@command.command("release", epilog="Example: gatepost queue release 1-17 --to alice@example.com")
@_changes
def release(**options: Any) -> None:
    """Queue held mail again; it expires after queue.expire from now."""
    change(chosen(**options), changes.RELEASE, "released")


@command.command("forward", epilog="Example: gatepost queue forward admin@example.com 1-17")
@click.argument("address")
@_changes
@click.option("--keep", is_flag=True, help="Keep the message for its recipients.")
def forward(*, address: str, keep: bool, **options: Any) -> None:
    """Send held mail to ADDRESS instead of its recipients.

    With --keep the address gets a copy. The server sends it as soon as it runs.
    """
    from gatepost.cli.shared import queue_messages  # noqa: PLC0415 - other commands need no routes

    queue_messages.forward(chosen(**options), address, keep=keep)


@command.command("learn", epilog="Example: gatepost queue learn spam 1-17")
@click.argument("kind", type=click.Choice(["spam", "ham"]))
@_changes
def learn(*, kind: Lesson, **options: Any) -> None:
    """Teach rspamd, SpamAssassin and other plugins by messages."""
    one = chosen(**options)
    if one.dry_run:
        print_chosen(one, changes.LEARN)
        return
    from gatepost.cli.shared import queue_messages  # noqa: PLC0415 - other commands need no plugins

    queue_messages.learn(one, kind)


@command.command("remove", epilog="Example: gatepost queue remove --held --older 7d")
@_changes
def remove(**options: Any) -> None:
    """Remove mail permanently, without a notification to the sender."""
    change(chosen(**options), changes.REMOVE, "removed")


def _header(beginning: bytes) -> Headers:
    return Headers(beginning[:HEADER_LIMIT].partition(b"\r\n\r\n")[0])
