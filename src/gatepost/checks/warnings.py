"""What may be meant but is probably not: the warnings of `gatepost check`.

Each function looks at one thing and yields sentences; SUSPICIONS has them all, those from `places`,
`quotas` and `routing` included. A kind of warning that comes once for each entry of a list is cut
off at MAX_OF_A_KIND.
"""

import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from itertools import islice
from pathlib import Path

from gatepost.checks.paths import unusable
from gatepost.checks.quotas import quotas
from gatepost.checks.routes import hidden, relays, unrouted
from gatepost.config.listen import InetAddress, ListenAddress, UnixAddress
from gatepost.config.schema import Config
from gatepost.net.tls import key_pairs
from gatepost.process.root_files import describe_replaceable, find_changeable
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup

MAX_OF_A_KIND = 20

# Names under which plugins for other servers do what is in the core here.
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

# The shortest prefix of a network that may be one's own: as 10.0.0.0/8 and fd00::/8 have.
WIDEST = 8

Suspicion = Callable[[Config, Setup, Lists], Iterator[str]]


def suspicions(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Yield every warning."""
    for look in SUSPICIONS:
        found = look(config, setup, lists)
        yield from islice(found, MAX_OF_A_KIND)
        more = sum(1 for _ in found)
        if more:
            yield f"… and {more} more of this kind"


def _hostname(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    if config.server.hostname == "localhost":
        yield (
            "server.hostname is localhost: expected the name this host has in the DNS,"
            " which senders and the Received header are shown"
        )


def _user(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    user = config.server.user
    if user:
        try:
            pwd.getpwnam(user)
        except KeyError:
            yield f"server.user: there is no user {user} on this system, the server will not start"


def _keys(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Look at what the user cannot read; only root can tell."""
    if not config.server.user or os.geteuid() != 0:
        return
    for pair in key_pairs(config):
        for path in (pair.path, pair.key):
            if path.exists() and not _may_read(config.server.user, path):
                by = find_changeable(path)
                yield _only_at_the_start(path) if by is None else describe_replaceable(path, by)


def _only_at_the_start(path: Path) -> str:
    return (
        f"{path}: only root can read it: it is read when the server starts, so that it has to be"
        " restarted after a renewal"
    )


def _may_read(user: str, path: Path) -> bool:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return True  # the user is what is to be told of
    done = subprocess.run(  # noqa: S603 - the words are a path and no option
        ["test", "-r", str(path)],  # noqa: S607 - as the administrator has it
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=os.getgrouplist(user, entry.pw_gid),
        check=False,
    )
    return done.returncode == 0


def _domains(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    if not config.recipients.domains:
        yield "recipients.domains is empty: every recipient is refused with 550 5.7.1"


def _known(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    if config.recipients.domains and not config.recipients.known:
        yield (
            "recipients.known is empty: every address of your domains exists, and a Maildir"
            " is made for each that anybody invents"
        )


def _empty_lists(_config: Config, _setup: Setup, lists: Lists) -> Iterator[str]:
    for file in lists.files:
        if not len(file.current):
            yield f"{file.path}: there is no entry in it"


def _traps(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    traps = config.traps
    if not traps.lists:
        yield "traps.lists is empty: no address is a trap"
        return
    if traps.action == "shadow":
        yield "traps.action is shadow: messages that name a trap are taken, and only logged"
    elif traps.delay == 0:
        yield "traps.delay is 0: whoever washes a list learns at full speed which addresses to drop"


def _unarmed(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    return map(str, setup.traps.table.report())


def _trap_plugins(_config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    for one in setup.plugins.installed:
        if one.plugin.name in TRAP_PLUGINS:
            yield (
                f"plugin {one.plugin.name}: its name says that it looks for traps, which the"
                " server itself does before any plugin; see traps.lists"
            )


def _folders(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    for listen in config.listen:
        if isinstance(listen.address, UnixAddress):
            folder = config.path(listen.address.path).parent
            if not folder.is_dir():
                yield f"{listen.address}: there is no folder {folder}"


def _lmtp(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    for listen in config.listen:
        address = listen.address
        if listen.protocol != "lmtp" or not isinstance(address, InetAddress):
            continue
        if address.port == 25:
            yield f"{address}: LMTP on port 25, which is SMTP's (RFC 2033 section 5)"
        if not ip_address(address.host).is_loopback:
            yield (
                f"{address}: LMTP beyond this machine: it is for use between a mail system's"
                " parts, everyone who can connect is taken for one (RFC 2033 section 5)"
            )


def _trusted(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of trust in whole stretches of the Internet, and of trust that comes to nothing."""
    for number, listen in enumerate(config.listen):
        for key in ("proxy_from", "xclient_from"):
            networks = getattr(listen, key)
            name = f"listen[{number}].{key}"
            for network in networks:
                if network.prefixlen < WIDEST:
                    yield (
                        f"{name} has {network}: whoever connects from there may claim to be any"
                        " client, expected the addresses of your own proxies"
                    )
            if networks and isinstance(listen.address, UnixAddress):
                yield f"{name} is of no use: who connects to {listen.address} has no IP address"


def _tls(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    if config.tls.certificates and all(listen.tls == "none" for listen in config.listen):
        yield "tls.certificates are not used: no [[listen]] has tls"
    if config.tls.client_ca:
        yield (
            "tls.client_ca is set: a client with a certificate of anybody else, as large mail"
            " providers have, cannot finish its handshake"
        )
    for listen in config.listen:
        exposed = listen.protocol == "smtp" and not _is_private(listen.address)
        if exposed and listen.tls == "none":
            yield (
                f'{listen.address}: there is no TLS: expected tls = "starttls" where mail comes'
                " in from a network"
            )


def _auth(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    with_auth = [listen for listen in config.listen if listen.auth]
    if config.auth.users and not with_auth:
        yield "auth.users is not used: no [[listen]] has auth"
    if setup.authority is not None and not any(setup.authority.offered()):
        yield "nobody can authenticate: expected users in auth.users, see gatepost users add"
    for listen in with_auth:
        if config.auth.clear and not _is_private(listen.address):
            yield (
                f"{listen.address}: auth.clear has passwords sent without TLS from a network:"
                " whoever listens on the way has them"
            )
    if lists.users is not None and lists.users.path.is_file():
        mode = stat.S_IMODE(lists.users.path.stat().st_mode)
        if mode & stat.S_IRWXO:
            yield f"{lists.users.path}: its mode is {mode:o}, expected one that is not for others"


def _next_hops(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of mail and passwords that anybody on the way to a next hop can read."""
    for number, route in enumerate(config.route):
        name, client = f"route[{number}].client", route.client
        hop = getattr(setup.router.routes[number].target, "hop", None)
        if hop is not None and not hop.is_loopback:
            if client.tls == "none" and hop.scheme != "smtps":
                yield f"{name}.tls is none: whoever listens on the way to {hop} reads the mail"
            if client.auth_in_clear:
                yield f"{name}.auth_in_clear: whoever listens on the way to {hop} has the password"
        if client.ca and client.tls != "verified":
            yield f"{name}.ca is of no use: no certificate is checked, expected tls = verified"
        if client.password_file:
            path = config.path(client.password_file)
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & stat.S_IRWXO:
                yield f"{path}: its mode is {mode:o}, expected one that is not for others"


def _is_private(address: ListenAddress) -> bool:
    return not isinstance(address, InetAddress) or ip_address(address.host).is_loopback


SUSPICIONS: tuple[Suspicion, ...] = (
    _hostname,
    _user,
    _keys,
    _folders,
    _lmtp,
    _trusted,
    _tls,
    _auth,
    relays,
    hidden,
    quotas,
    unusable,
    _next_hops,
    _domains,
    _known,
    unrouted,
    _empty_lists,
    _traps,
    _unarmed,
    _trap_plugins,
)
