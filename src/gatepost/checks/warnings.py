"""The warnings of `gatepost check`: settings that are valid, but probably mistakes.

Each check yields sentences. CHECKS is the table of all checks, in the order of the output.
"""

import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from gatepost.checks import exposure, ledger, protocols, system, traps, web
from gatepost.checks.paths import unusable
from gatepost.checks.quotas import quotas
from gatepost.checks.routes import (
    hidden,
    loops,
    relays,
    shared_maildirs,
    undelivered_digest,
    unrouted,
)
from gatepost.checks.webhooks import webhooks
from gatepost.config.formats import EVERY_DOMAIN, FILE_PREFIX
from gatepost.config.listen import UnixAddress
from gatepost.config.schema import ASKING, Config, RouteConfig
from gatepost.model.address import domain_key
from gatepost.net.tls import key_pairs, web_key_pairs
from gatepost.process.root_files import describe_replaceable, find_changeable
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup

# The limit of warnings from one check. Some checks yield one for each entry of a list.
MAX_OF_A_KIND = 20

# Names of plugins for other servers that do what the core of Gatepost does.
TRAP_PLUGINS = frozenset(
    {
        "badrcptto",
        "check_badrcptto",
        "check_verybadrcptto",
        "honeypot",
        "spamtrap",
        "traps",
        "verybadrcptto",
    }
)

# Targets that use call-ahead.
ASKED_SCHEMES = frozenset({"lmtp", "smtp", "smtps"})

Check = Callable[[Config, Setup, Lists], Iterator[str]]


def warnings(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Yield every warning."""
    for check in CHECKS:
        found = check(config, setup, lists)
        yield from islice(found, MAX_OF_A_KIND)
        more = sum(1 for _ in found)
        if more:
            yield f"… and {more} more of this kind"


def _hostname(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    if config.server.hostname == "localhost":
        yield (
            "server.hostname is localhost: expected the name of this host in the DNS, which"
            " appears in the greeting and in Received"
        )


def _keys(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of keys that `server.user` cannot read; only root can find out."""
    if not config.server.user or os.geteuid() != 0:
        return
    for pair in (*key_pairs(config), *web_key_pairs(config)):
        for path in (pair.path, pair.key):
            if path.exists() and not _can_read(config.server.user, path):
                changeable = find_changeable(path)
                yield (
                    _read_at_start(path)
                    if changeable is None
                    else describe_replaceable(path, changeable)
                )


def _read_at_start(path: Path) -> str:
    return (
        f"{path}: only root can read it: restart the server after a renewal, because a reload"
        " does not read it again"
    )


def _can_read(user: str, path: Path) -> bool:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return True  # another check reports the unknown user
    done = subprocess.run(  # noqa: S603 - the argument is a path and not an option
        ["test", "-r", str(path)],  # noqa: S607 - found by the administrator's PATH
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=os.getgrouplist(user, entry.pw_gid),
        check=False,
    )
    return done.returncode == 0


def _socket_folders(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    for listen in config.listen:
        if isinstance(listen.address, UnixAddress):
            folder = config.path(listen.address.path).parent
            if not folder.is_dir():
                yield f"{listen.address}: the folder {folder} does not exist"


def _domains(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    if not config.recipients.domains and any(one.protocol in ASKING for one in config.listen):
        yield (
            "recipients.domains is empty: expected the domains of the mail server that asks, as"
            " traps that it refuses count only in these"
        )
    elif not config.recipients.domains and setup.lookups is None:
        yield "recipients.domains is empty: only clients of relay_for can send mail"
    if EVERY_DOMAIN in config.recipients.domains:
        yield 'recipients.domains contains "*": mail for every domain is accepted, as in tests'


def _known_recipients(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of routes that accept every address: no list, plugin or next hop is asked."""
    if not config.recipients.domains or config.recipients.known or setup.lookups is not None:
        return
    if all(one.protocol in ASKING for one in config.listen):
        return  # the mail server checks them
    routes = [route for route in config.route if not _is_checked_later(route)]
    if routes:
        maildirs = any(route.to.startswith("maildir:") and "{" in route.to for route in routes)
        more = ", and senders can create any number of Maildirs" if maildirs else ""
        yield f"recipients.known is empty: every address of your domains is accepted{more}"


def _is_checked_later(route: RouteConfig) -> bool:
    """Return whether a next hop is asked about recipients, or the route is not for your domains."""
    scheme = route.to.partition(":")[0].lower()
    return scheme == "mx" or (scheme in ASKED_SCHEMES and route.client.verify)


def _names_of_files(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of domains that are the name of a list file; an address cannot be mistaken for one."""
    for name in config.recipients.domains:
        if not name.startswith(FILE_PREFIX) and config.path(name).is_file():
            yield (
                f'recipients.domains contains "{name}", which is the name of a file too:'
                f' expected "{FILE_PREFIX}{name}" for the domains in it'
            )


def _empty_lists(_config: Config, _setup: Setup, lists: Lists) -> Iterator[str]:
    for file in lists.files:
        if not len(file.current):
            yield f"{file.path}: the list has no entry"


def _traps(config: Config, _setup: Setup, lists: Lists) -> Iterator[str]:
    made = config.traps
    if not made.lists and not len(lists.registry.current):
        yield "traps.lists and the registry are empty: no address is a trap"
        return
    if made.action == "shadow":
        yield "traps.action is shadow: messages to a trap are accepted and only logged"
    elif made.delay == 0:
        yield "traps.delay is 0: list washers can test addresses at full speed"


def _unarmed_traps(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    return map(str, setup.traps.table.unarmed_entries())


def _trap_plugins(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    for one in setup.plugins.installed:
        if one.plugin.name in TRAP_PLUGINS:
            yield (
                f"plugin {one.plugin.name}: by its name it checks for traps, but the server does"
                " that before any plugin, see traps.lists"
            )


def _idle_plugins(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    for name in setup.plugins.idle:
        yield f"plugin {name}: has no effect, expected a hook method such as on_rcpt"


def _of_plugins(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield the warnings of plugins about themselves."""
    for one in setup.plugins.installed:
        yield from (f"plugin {one.plugin.name}: {text}" for text in one.plugin.warnings())


def _domains_of_plugins(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Warn of options for a domain that is not local, such as a misspelt one."""
    if setup.lookups is not None or any(route.relay_for for route in config.route):
        return
    for number, plugin in enumerate(config.plugin):
        for domain in plugin.options_for:
            if not any(domain_key(domain) in one.current for one in lists.domains):
                yield f'plugin[{number}].options_for."{domain}": the domain is not local'


def _targets(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Yield the warnings of targets about their options."""
    for number, route in enumerate(setup.router.routes):
        for warning in route.target.warnings():
            yield f"route[{number}].{warning}"


CHECKS: tuple[Check, ...] = (
    _hostname,
    system.root,
    system.open_files,
    _keys,
    _socket_folders,
    exposure.lmtp,
    exposure.asking_servers,
    exposure.ipv6_only,
    exposure.trusted_networks,
    exposure.bare_lf,
    exposure.relay_networks,
    exposure.tls,
    exposure.auth,
    relays,
    hidden,
    loops,
    shared_maildirs,
    undelivered_digest,
    quotas,
    unusable,
    _targets,
    _domains,
    _names_of_files,
    _known_recipients,
    unrouted,
    _empty_lists,
    _traps,
    _unarmed_traps,
    traps.guessable,
    traps.misread,
    traps.revealing_names,
    traps.unproven,
    _trap_plugins,
    _idle_plugins,
    _of_plugins,
    protocols.methods_never_called,
    _domains_of_plugins,
    ledger.metrics,
    ledger.space,
    webhooks,
    web.address,
    web.tls,
    web.proxies,
    web.ledger,
)
