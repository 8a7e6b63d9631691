"""From configuration to policy: loads lists, finds plugins, makes targets.

Everything that can be wrong with a configuration beyond its syntax shows here, before the first
client connects. Lists are read – blocking – by `load_lists`; nothing else touches the disk.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gatepost.auth.authority import Authority
from gatepost.auth.users import UsersFile
from gatepost.config.schema import Config
from gatepost.delivery.registry import make_router
from gatepost.lists.addresses import AddressList, ListSource
from gatepost.lists.domains import DomainList
from gatepost.lists.file import DomainFile, ListFile
from gatepost.lists.reloadable import ListError
from gatepost.model.reply import Reply
from gatepost.net.tls import KeyPair, TlsError
from gatepost.plugin.base import Plugin
from gatepost.plugin.clock import Clock, SystemClock
from gatepost.plugin.host import Installed, PluginError, PluginHost
from gatepost.plugin.loader import load_plugin
from gatepost.plugin.order import OrderError
from gatepost.session.callahead import confirms
from gatepost.session.setup import Setup, TrapRule, greetings, keywords, offers
from gatepost.traps.table import TrapTable


class SetupError(Exception):
    """The configuration is well formed but cannot be used; one line for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Lists(msgspec.Struct, eq=False):
    """The lists a configuration names: what they say, and the files to watch."""

    domains: list[Any]
    known: list[ListSource]
    traps: list[ListSource]
    users: UsersFile | None
    files: list[Any]


def find_lists(config: Config) -> Lists:
    """Return the configuration's lists, files not read yet."""
    inline_domains, domain_paths = config.sources(config.recipients.domains)
    inline_known, known_paths = config.sources(config.recipients.known)
    cache = config.data_dir / "cache"
    domain_files = [DomainFile(path) for path in domain_paths]
    known_files = [ListFile(path, cache) for path in known_paths]
    trap_files = [ListFile(config.path(name), cache) for name in config.traps.lists]
    domains: list[Any] = list(domain_files)
    known: list[ListSource] = list(known_files)
    if inline_domains:
        domains.insert(0, DomainList.from_lines(inline_domains, "recipients.domains"))
    if inline_known:
        known.insert(0, AddressList.from_lines(inline_known, "recipients.known"))
    users = UsersFile(config.path(config.auth.users)) if config.auth.users else None
    files: list[Any] = [*domain_files, *known_files, *trap_files, *filter(None, (users,))]
    return Lists(domains, known, list(trap_files), users, files)


def load_lists(lists: Lists) -> None:
    """Read every list file; raises `SetupError` naming all that cannot be read."""
    problems = []
    for file in lists.files:
        try:
            file.load()
        except ListError as error:
            problems.append(str(error))
    if problems:
        raise SetupError(problems)


def load_key_pairs(pairs: Sequence[KeyPair]) -> None:
    """Read every certificate and key; raises `SetupError` naming all that cannot be used."""
    problems = []
    for pair in pairs:
        try:
            pair.load()
        except TlsError as error:
            problems.append(str(error))
    if problems:
        raise SetupError(problems)


def load_plugins(config: Config) -> list[Installed]:
    """Find and make every plugin; raises `SetupError` naming all that cannot be used."""
    installed, problems = [], []
    for use in config.plugin:
        try:
            plugin = load_plugin(use.use, use.options, config.base)
            installed.append(Installed(plugin, use.on_error))
        except PluginError as error:
            problems.append(str(error))
    if problems:
        raise SetupError(problems)
    return installed


def make_setup(
    config: Config,
    lists: Lists,
    plugins: Sequence[Plugin | Installed] = (),
    clock: Clock | None = None,
    folder: Path | None = None,
) -> Setup:
    """Put a policy together; `plugins` come after those of the configuration.

    `folder` is for messages too long for memory. Raises `SetupError`.
    """
    given = [one if isinstance(one, Installed) else Installed(one) for one in plugins]
    installed = load_plugins(config) + given
    hostname = config.server.hostname
    clock = SystemClock() if clock is None else clock
    for one in installed:
        one.plugin.clock = clock
    try:
        host = PluginHost(installed, config.limits.hook_timeout)
        router = make_router(config.route, base=config.base, hostname=hostname)
    except (PluginError, OrderError, ValueError) as error:
        raise SetupError([str(error)]) from error
    words = keywords(config.limits)
    traps = config.traps
    return Setup(
        hostname=hostname,
        limits=config.limits,
        domains=tuple(lists.domains),
        known=tuple(lists.known),
        subaddress=config.recipients.subaddress,
        traps=TrapRule(TrapTable(lists.traps, lists.known), traps.action, traps.delay, traps.reply),
        plugins=host,
        router=router,
        confirms=confirms(router),
        clock=clock,
        log=structlog.get_logger("gatepost.session").bind(),
        folder=folder,
        greetings=greetings(hostname),
        keywords=words,
        helo=Reply(250, hostname),
        offers=offers(hostname, words),
        authority=_authority(config, lists, host),
    )


def _authority(config: Config, lists: Lists, plugins: PluginHost) -> Authority | None:
    """Return who decides about users, None where no listener has any. Raises `SetupError`."""
    number = next((at for at, listen in enumerate(config.listen) if listen.auth), None)
    if number is None:
        return None
    deciders = bool(plugins.chains["auth"].deciders)
    if lists.users is None and not deciders:
        expected = "expected auth.users, or a plugin with on_auth"
        raise SetupError([f"listen[{number}].auth: there is nobody to ask, {expected}"])
    return Authority(config.auth, config.limits, lists.users, plugins=deciders)
