"""`gatepost traps arm|shadow|retire|exempt`: changes to registered traps.

A running server and its workers use a change within a second.
"""

import time
from pathlib import Path

import click

from gatepost.cli.shared import registered
from gatepost.cli.shared.author import author
from gatepost.cli.shared.output import Failure, print_json, print_line
from gatepost.cli.shared.settings import config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.registry.trap import RegisteredTrap
from gatepost.traps.notes import TrapState

reason_option = click.option("--reason", default="", help="Why, for the history of the trap.")
force_option = click.option(
    "--force",
    is_flag=True,
    help="Arm it although it looks like an address that receives real mail.",
)


def check_arming(config: Config, entry: str, *, force: bool) -> None:
    """Raise `Failure` if an entry should not be armed, unless `force`."""
    found = [] if force else registered.found_objections(config, entry, time.time())
    if found:
        raise Failure(
            *(f"{entry} is not armed: {one}" for one in found),
            "use the state shadow to watch it, or --force",
        )


@click.command(
    "arm", epilog="Example: gatepost traps arm kim.larsen@example.com --reason 'no good mail'"
)
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@reason_option
@force_option
@config_option
@json_option
def arm(addresses: tuple[str, ...], *, reason: str, force: bool, file: Path, as_json: bool) -> None:
    """Let registered traps take effect.

    An address is not armed if it exists, is a role address, received good mail in the last 30 days,
    or is one typing error away from a known recipient. --force arms it, but an address that exists
    and a role address have no effect.
    """
    config, entries = read_config(file), [registered.entry_of(one) for one in addresses]
    for entry in entries:
        check_arming(config, entry, force=force)
    _set(config, entries, TrapState.ARMED, reason, as_json=as_json)


@click.command("shadow", epilog="Example: gatepost traps shadow kim.larsen@example.com")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@reason_option
@config_option
@json_option
def shadow(addresses: tuple[str, ...], *, reason: str, file: Path, as_json: bool) -> None:
    """Let hits of registered traps only be recorded."""
    entries = [registered.entry_of(one) for one in addresses]
    _set(read_config(file), entries, TrapState.SHADOW, reason, as_json=as_json)


@click.command("retire", epilog="Example: gatepost traps retire kim.larsen@example.com")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@reason_option
@config_option
@json_option
def retire(addresses: tuple[str, ...], *, reason: str, file: Path, as_json: bool) -> None:
    """Let registered traps be ordinary addresses. Their history stays."""
    entries = [registered.entry_of(one) for one in addresses]
    _set(read_config(file), entries, TrapState.RETIRED, reason, as_json=as_json)


@click.command(
    "exempt", epilog="Example: gatepost traps exempt kim.larsen@example.com partner.example"
)
@click.argument("address")
@click.argument("domain")
@reason_option
@config_option
@json_option
def exempt(address: str, domain: str, *, reason: str, file: Path, as_json: bool) -> None:
    """Exempt the senders of a domain from a registered trap.

    The trap has no effect for the domain and its subdomains. It applies to mail for which SPF has
    passed.
    """
    config, entry = read_config(file), registered.entry_of(address)
    proven = registered.entry_of(f"@{domain.removeprefix('@')}")[1:]
    registry = registered.open_registry(config)
    with registered.written(config, entry):
        trap = registry.exempt(entry, proven, author(), reason)
    _print([trap], f"exempt for {proven}", as_json=as_json)


def _set(
    config: Config, entries: list[str], state: TrapState, reason: str, *, as_json: bool
) -> None:
    registry, by, done = registered.open_registry(config), author(), []
    for entry in entries:
        with registered.written(config, entry):
            done.append(registry.set_state(entry, state, by, reason))
    _print(done, state.value, as_json=as_json)


def _print(traps: list[RegisteredTrap], change: str, *, as_json: bool) -> None:
    if as_json:
        print_json([registered.as_data(one) for one in traps])
    else:
        for one in traps:
            print_line(f"{one.entry}: {change}")
