"""The report of `gatepost check`: errors, warnings, a summary, hooks and limits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from gatepost.checks import dns, mx, services
from gatepost.checks.account import serving
from gatepost.checks.postfix import findings as postfix
from gatepost.checks.scratch import progress, scratch
from gatepost.checks.shadow import shadow_lines
from gatepost.checks.starting import start_problems
from gatepost.checks.summary import summary
from gatepost.checks.tables import find_problems
from gatepost.checks.traps import table_in_force
from gatepost.checks.warnings import warnings
from gatepost.config.kinds import Key, keys, to_toml
from gatepost.config.listen import InetAddress
from gatepost.config.load import load_config
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config, LimitsConfig
from gatepost.lists.reloadable import ListError
from gatepost.log.os_error import describe_os_error
from gatepost.net.tls import TlsError, all_key_pairs
from gatepost.plugin.clock import SystemClock
from gatepost.process.insecure_files import insecure_files
from gatepost.session.assemble import (
    Lists,
    SetupError,
    add_plugin_lists,
    find_lists,
    make_resolver,
    make_setup,
    make_store,
    missing_plugin_files,
)
from gatepost.session.setup import Setup
from gatepost.store.memory import MemoryBackend
from gatepost.store.store import OpenedStore


class HookOrder(msgspec.Struct, frozen=True):
    """The plugins of one stage of one hook, in call order."""

    hook: str
    stage: str
    plugins: list[str]


class Limit(msgspec.Struct, frozen=True):
    """A limit in force. `why` is the reason for the default, or a remark that the value was set."""

    name: str
    value: str
    about: str
    why: str


class ListSummary(msgspec.Struct, frozen=True):
    """A list file and the number of its entries."""

    path: str
    entries: int


class SummaryLine(msgspec.Struct, frozen=True):
    """One line about what the configuration does."""

    name: str
    value: str


class Report(msgspec.Struct):
    """The findings. With `errors` the server does not start, or ignores lines of lists.

    `traps` has a row for each class of traps: its name, and its treatment for each standing.
    """

    errors: list[str] = []
    warnings: list[str] = []
    summary: list[SummaryLine] = []
    listen: list[str] = []
    lists: list[ListSummary] = []
    hooks: list[HookOrder] = []
    traps: list[list[str]] = []
    limits: list[Limit] = []


def _nothing(_config: Config) -> Iterable[str]:
    return ()


def make_report(
    file: Path,
    more: Callable[[Config], Iterable[str]] = _nothing,
    *,
    start: bool = False,
    main_cf: Path | None = None,
) -> Report:
    """Check a configuration and all files it names, without changing anything.

    `more` returns further warnings, of packages above this one. With `start` the plugins are
    started and stopped, with an empty store in memory. `main_cf` is the folder with the settings of
    Postfix, None for its own.
    """
    report = Report()
    try:
        config = load_config(file)
    except ConfigError as error:
        report.errors.extend(map(str, error.problems))
        return report
    report.listen = [f"{listen.protocol}={listen.address}" for listen in config.listen]
    report.limits = list(limits_of(config))
    report.errors.extend(unknown_user(config))
    report.errors.extend(duplicate_addresses(config))
    report.errors.extend(certificate_errors(config))
    report.warnings.extend(changeable_files(config, file))
    with scratch(config) as usable:
        _check_lists_and_plugins(config, usable, report, start=start)
    report.warnings.extend(postfix.warnings(config, main_cf))
    report.warnings.extend(more(config))
    return report


def changeable_files(config: Config, file: Path) -> Iterator[str]:
    """Yield a warning for each place where other users can change the configuration."""
    with suppress(KeyError):  # the report has an error about the user
        yield from map(str, insecure_files(config, file, serving(config).uid))


def certificate_errors(config: Config) -> Iterator[str]:
    """Yield the errors of all certificates and keys, used by a listener or not."""
    for pair in all_key_pairs(config):
        try:
            pair.load()
        except TlsError as error:
            yield str(error)


def _check_lists_and_plugins(
    config: Config, usable: Config, report: Report, *, start: bool
) -> None:
    lists = find_lists(usable)
    with progress([file.path for file in lists.files]):
        report.errors.extend(_load(lists.all_files))
    report.lists = [ListSummary(str(one.path), len(one.current)) for one in lists.files]
    resolver, clock = make_resolver(usable), SystemClock()
    memory = OpenedStore(MemoryBackend(clock=clock.time), "memory")
    try:
        make_store(usable, clock)
        setup = make_setup(usable, lists, clock=clock, resolver=resolver, store=memory)
    except SetupError as error:
        report.errors.extend(error.problems)
        return
    _check_plugin_files(lists, setup, report)
    _check_tables(setup, report)
    report.hooks = list(hook_order(setup))
    report.traps = list(table_in_force(setup))
    report.summary = [SummaryLine(*line) for line in summary(config, setup, lists)]
    report.summary += [SummaryLine("shadow mode", line) for line in shadow_lines(config, setup)]
    report.warnings.extend(warnings(config, setup, lists))
    _contact_services(setup, report)
    if (start and setup.plugins.installed) or dns.uses_dns(setup):
        _check_dns(config, setup, lists, report)
    if start and not report.errors:
        report.errors.extend(start_problems(setup.plugins, resolver))


def _contact_services(setup: Setup, report: Report) -> None:
    """Ask the services of plugins for their versions; one that does not answer is a warning."""
    for one in services.contact(setup):
        if one.problem:
            report.warnings.append(f"plugin {one.plugin}: {one.service}: {one.problem}")
        else:
            report.summary.append(SummaryLine(one.plugin, f"{one.service}: {one.answer}"))


def _check_dns(config: Config, setup: Setup, lists: Lists, report: Report) -> None:
    """Ask the name servers; their problems are warnings, because they may be temporary."""
    servers = dns.ask_servers(config)
    report.summary.append(SummaryLine("name servers", ", ".join(map(str, servers)) or "none"))
    report.warnings.extend(dns.warnings(config, setup, servers))
    if any(one.probe.works for one in servers):
        report.warnings.extend(mx.warnings(config, setup, lists))


def _check_plugin_files(lists: Lists, setup: Setup, report: Report) -> None:
    """Check the files in the options of plugins."""
    report.errors.extend(missing_plugin_files(setup.plugins))
    files = add_plugin_lists(lists, setup.plugins)
    with progress([file.path for file in files]):
        report.errors.extend(_load(files))
    report.lists += [ListSummary(str(one.path), len(one.current)) for one in files]


def _check_tables(setup: Setup, report: Report) -> None:
    """Ask every table that the configuration and the options of plugins name."""
    found = find_problems(setup.tables, f"postmaster@{setup.hostname}")
    report.errors.extend(found.errors)
    report.warnings.extend(found.warnings)
    for file in setup.tables.files:
        if file.is_loaded:
            report.errors.extend(line_errors(file))
            report.lists.append(ListSummary(str(file.path), len(file.current)))


def _load(files: Sequence[Any]) -> Iterator[str]:
    """Load every list; yield the errors."""
    for file in files:
        try:
            file.load()
        except ListError as error:
            yield str(error)
        except OSError as error:
            yield describe_os_error(error)
        yield from line_errors(file)


def line_errors(file: Any) -> Iterator[str]:
    """Yield the errors of the lines of a list, and the number of those beyond the limit."""
    found = file.current
    yield from map(str, found.errors)
    more = found.bad_lines - len(found.errors)
    if more > 0:
        yield f"{file.path}: {more} more lines are not valid entries"


def unknown_user(config: Config) -> Iterator[str]:
    """Yield an error if the user to switch to does not exist."""
    try:
        serving(config)
    except KeyError:
        yield f"server.user: unknown user {config.server.user}"


def duplicate_addresses(config: Config) -> Iterator[str]:
    """Yield an error for each listener with the address of an earlier one."""
    seen: dict[Any, int] = {}
    for number, listen in enumerate(config.listen):
        address = listen.address
        if isinstance(address, InetAddress) and address.port == 0:
            continue
        if address in seen:
            other = f"listen[{seen[address]}]"
            yield f"listen[{number}].address: expected another address than that of {other}"
        seen.setdefault(address, number)


def hook_order(setup: Setup) -> Iterator[HookOrder]:
    """Yield the plugins of each hook and stage, in the order of a session."""
    for hook, stage, plugins in setup.plugins.order():
        yield HookOrder(hook, stage, plugins)


def limits_of(config: Config) -> Iterator[Limit]:
    """Yield the limits in force."""
    for field, key in keys(LimitsConfig):
        value = getattr(config.limits, field.name)
        set_here = f"set in the configuration, default {_shown(key, field.default)}"
        why = key.why if value == field.default else set_here
        yield Limit(field.name, _shown(key, value), key.about, why)


def _shown(key: Key, value: Any) -> str:
    return to_toml(key.kind, value).strip('"')
