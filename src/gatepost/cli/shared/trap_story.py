"""`gatepost traps explain`: all that is known about one address as a trap."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from gatepost.checks.scratch import progress
from gatepost.cli.shared import registered, trap_lists
from gatepost.cli.shared.ledger_files import open_ledger, recorded_form
from gatepost.cli.shared.output import WrongUsage, print_json, print_line
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.ledger.records import Transaction
from gatepost.ledger.selection import Key, Selection
from gatepost.model.address import Address, AddressError
from gatepost.model.session import TrapHit
from gatepost.registry.trap import RegisteredTrap

# Transactions with the trap that are counted, and those that are listed.
COUNTED = 1000
LISTED = 5


class Story(NamedTuple):
    """An address: its hit if it is a trap, the history of its registration, objections, mail."""

    address: str
    hit: TrapHit | None
    unarmed: str
    history: Sequence[RegisteredTrap]
    objections: Sequence[str]
    hits: Sequence[Transaction]


@click.command("explain", epilog="Example: gatepost traps explain kim.larsen@example.com")
@click.argument("address")
@config_option
@json_option
def command(address: str, *, file: Path, as_json: bool) -> None:
    """Print why an address is a trap or not.

    The output has the entry, its history, its hits, and objections against it.
    """
    try:
        parsed = Address.parse(address)
    except AddressError as error:
        raise WrongUsage(str(error)) from error
    story = _story(read_config(file), parsed)
    if as_json:
        print_json(_as_data(story))
    else:
        for line in _lines(story):
            print_line(line)


def _story(config: Config, address: Address) -> Story:
    now = time.time()
    with progress(trap_lists.paths(config)), trap_lists.list_errors():
        [found] = trap_lists.look_up(config, [address])
        history = registered.open_registry(config).history(address.key)
    entry = found.unarmed
    unarmed = "" if entry is None else f"{entry.text} in {entry.source}:{entry.line}"
    objections = registered.found_objections(config, address.key, now)
    return Story(str(address), found.trap, unarmed, history, objections, _hits(config, address))


def _hits(config: Config, address: Address) -> list[Transaction]:
    """Return the transactions on record in which the address was a trap, the newest first."""
    if not (config.data_dir / "ledger").is_dir():
        return []
    key = Key("address", recorded_form(config)(address.key))
    with open_ledger(config) as reader:
        found = reader.select(Selection(keys=[key], kinds=["transaction"]), limit=COUNTED)
        return [one for one in found if isinstance(one, Transaction) and _has(one, key.value)]


def _has(message: Transaction, address: str) -> bool:
    return any(one.address.lower() == address for one in message.traps)


def _as_data(story: Story) -> dict[str, object]:
    hit = story.hit
    return {
        "address": story.address,
        "trap": hit is not None,
        "class": hit.trap_class if hit else "",
        "list": hit.source if hit else "",
        "line": hit.line if hit else 0,
        "not_armed": story.unarmed,
        "history": [registered.as_data(one) for one in story.history],
        "objections": list(story.objections),
        "hits": [{"ref": one.ref, "time": one.time, "result": one.result} for one in story.hits],
    }


def _lines(story: Story) -> Iterator[str]:
    yield f"{story.address}: {_verdict(story)}"
    for trap in story.history:
        yield f"  {_moment(trap.at)}  {_change(trap)}"
    for one in story.objections:
        yield f"  careful: {one}"
    count = f"at least {COUNTED}" if len(story.hits) == COUNTED else str(len(story.hits))
    yield f"  hits on record: {count}"
    for message in story.hits[:LISTED]:
        refused = f"{message.result}, sender {message.sender or '<>'}, ref {message.ref}"
        yield f"    {_moment(message.time)}  {refused}"


def _verdict(story: Story) -> str:
    hit = story.hit
    if hit is None:
        return f"not a trap, matches {story.unarmed}" if story.unarmed else "not a trap"
    words = [f"a trap by {hit.entry} in {hit.source}:{hit.line}", f"class {hit.trap_class}"]
    words += ["guessable: it refuses only itself"] if hit.guessable else []
    words += ["in shadow: hits are only recorded"] if hit.shadow else []
    words += [f"exempt: {', '.join(hit.exempt)}"] if hit.exempt else []
    if hit.trap_class == "learned":
        words.append("it has an effect only while the address is known not to exist")
    return ", ".join(words)


def _change(trap: RegisteredTrap) -> str:
    words = [trap.state, trap.trap_class, f"by {trap.by}"]
    words += [f"exempt: {', '.join(trap.exempt)}"] if trap.exempt else []
    words += [f"reason: {trap.reason}"] if trap.reason else []
    return ", ".join(words)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
