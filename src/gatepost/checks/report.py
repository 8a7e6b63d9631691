"""Everything `gatepost check` looks at: what is wrong, what looks wrong, what is in force."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gatepost.checks.scratch import progress, scratch
from gatepost.checks.warnings import suspicions
from gatepost.config.kinds import keys
from gatepost.config.listen import InetAddress
from gatepost.config.load import load
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config, Limits
from gatepost.config.units import format_duration, format_size
from gatepost.lists.source import ListError
from gatepost.log.os_error import describe_os_error
from gatepost.net.tls import TlsError, all_key_pairs
from gatepost.session.assemble import Lists, SetupError, find_lists, make_setup
from gatepost.session.setup import Setup


class HookOrder(msgspec.Struct, frozen=True):
    """The plugins of one stage of one hook, in the order they are called."""

    hook: str
    stage: str
    plugins: list[str]


class Limit(msgspec.Struct, frozen=True):
    """A limit as it is in force, with the reason for its default or that it was set."""

    name: str
    value: str
    about: str
    why: str


class ListFound(msgspec.Struct, frozen=True):
    """A list file and how many entries it has."""

    path: str
    entries: int


class Report(msgspec.Struct):
    """What was found. With `errors` the server would not start, or would ignore lines of lists."""

    errors: list[str] = []
    warnings: list[str] = []
    listen: list[str] = []
    lists: list[ListFound] = []
    hooks: list[HookOrder] = []
    limits: list[Limit] = []


def examine(file: Path) -> Report:
    """Look at a configuration and all it names; nothing is started, nothing changed."""
    report = Report()
    try:
        config = load(file)
    except ConfigError as error:
        report.errors.extend(map(str, error.problems))
        return report
    report.listen = [f"{listen.protocol}={listen.address}" for listen in config.listen]
    report.limits = list(limits_of(config))
    report.errors.extend(same_address(config))
    report.errors.extend(certificate_errors(config))
    with scratch(config) as usable:
        _examine_lists(config, usable, report)
    return report


def certificate_errors(config: Config) -> Iterator[str]:
    """Yield what is wrong with certificates and keys, whether listeners use them yet or not."""
    for pair in all_key_pairs(config):
        try:
            pair.load()
        except TlsError as error:
            yield str(error)


def _examine_lists(config: Config, usable: Config, report: Report) -> None:
    lists = find_lists(usable)
    with progress([file.path for file in lists.files]):
        report.errors.extend(_load(lists))
    report.lists = [ListFound(str(one.path), len(one.current)) for one in lists.files]
    try:
        setup = make_setup(usable, lists)
    except SetupError as error:
        report.errors.extend(error.problems)
        return
    report.hooks = list(hook_order(setup))
    report.warnings = list(suspicions(config, setup, lists))


def _load(lists: Lists) -> Iterator[str]:
    """Load every list; yield what is wrong with any."""
    for file in lists.files:
        try:
            file.load()
        except ListError as error:
            yield str(error)
        except OSError as error:
            yield describe_os_error(error)
        yield from _line_errors(file)


def _line_errors(file: Any) -> Iterator[str]:
    found = file.current
    yield from map(str, found.errors)
    more = found.bad_lines - len(found.errors)
    if more > 0:
        yield f"{file.path}: {more} more lines that are no entry"


def same_address(config: Config) -> Iterator[str]:
    """Yield the listeners that want the address of an earlier one."""
    seen: dict[Any, int] = {}
    for number, listen in enumerate(config.listen):
        address = listen.address
        if isinstance(address, InetAddress) and address.port == 0:
            continue
        if address in seen:
            other = f"listen[{seen[address]}]"
            yield f"listen[{number}].address: expected an address of its own, found that of {other}"
        seen.setdefault(address, number)


def hook_order(setup: Setup) -> Iterator[HookOrder]:
    """Yield who is called where, in the order of a session."""
    for hook, stage, plugins in setup.plugins.order():
        yield HookOrder(hook, stage, plugins)


def limits_of(config: Config) -> Iterator[Limit]:
    """Yield the limits in force."""
    for field, key in keys(Limits):
        value = getattr(config.limits, field.name)
        write = _written(key.kind.expected)
        set_here = f"set here, the default is {write(field.default)}"
        why = key.why if value == field.default else set_here
        yield Limit(field.name, write(value), key.about, why)


def _written(expected: str) -> Any:
    """Return the function that writes a value of a kind as it would be configured."""
    forms = {"a duration": format_duration, "a size": format_size}
    return next((form for start, form in forms.items() if expected.startswith(start)), str)
