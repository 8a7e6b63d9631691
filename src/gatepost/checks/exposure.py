"""Listeners and routes that trust, or reveal mail and passwords to, too many hosts."""

import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from gatepost.config.listen import InetAddress, ListenAddress, UnixAddress
from gatepost.config.schema import Config, ListenConfig
from gatepost.net.tls import OBSOLETE, kind_of
from gatepost.session.assemble import Lists
from gatepost.session.dialect import DIALECTS
from gatepost.session.setup import Setup

# The shortest prefix of a private network: 10.0.0.0/8 and fd00::/8 have it.
SHORTEST_PREFIX = 8
# The settings of a listener whose clients are not those of a mail server that asks.
OF_CLIENTS = ("tls", "proxy_from", "xclient_from", "auth")
_USUAL = ListenConfig()


def lmtp(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of LMTP listeners for other hosts."""
    for listen in config.listen:
        address = listen.address
        if listen.protocol != "lmtp" or not isinstance(address, InetAddress):
            continue
        if address.port == 25:
            yield f"{address}: LMTP on port 25, which is reserved for SMTP (RFC 2033 section 5)"
        if not ip_address(address.host).is_loopback:
            yield (
                f"{address}: LMTP on a network: LMTP is for the parts of one mail system, and"
                " every client is treated as such a part (RFC 2033 section 5)"
            )


def asking_servers(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of listeners for mail servers that too many hosts, or none, may use."""
    for number, listen in enumerate(config.listen):
        if DIALECTS[listen.protocol].wire is not None:
            continue
        for setting in OF_CLIENTS:
            if getattr(listen, setting) != getattr(_USUAL, setting):
                yield f"listen[{number}].{setting} has no effect with {listen.protocol}"
        key = f"listen[{number}].accept_from"
        for network in listen.accept_from:
            if network.prefixlen < SHORTEST_PREFIX:
                yield (
                    f"{key} contains {network}: any host there can report anything about clients,"
                    " expected the addresses of your own mail servers"
                )
        yield from _unreachable(listen, key)


def _unreachable(listen: ListenConfig, key: str) -> Iterator[str]:
    """Warn of a listener on a network that accepts connections of this machine only."""
    address = listen.address
    if not isinstance(address, InetAddress) or ip_address(address.host).is_loopback:
        return
    if all(network.is_loopback for network in listen.accept_from):
        yield f"{address}: only this machine may connect: expected your mail servers in {key}"
    elif ip_address(address.host).is_global or ip_address(address.host).is_unspecified:
        yield (
            f"{address}: {listen.protocol} on a public address: it is not encrypted, expected an"
            " address of an internal network"
        )


def ipv6_only(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of a listener for all IPv6 addresses without one for IPv4 on the same port."""
    ports = {(one.host, one.port) for one in _inet_addresses(config)}
    by_ipv4 = {port for host, port in ports if ":" not in host}
    for host, port in sorted(ports):
        if host == "::" and port not in by_ipv4:
            yield (
                f"[::]:{port} does not accept IPv4, by which most mail arrives: add a [[listen]]"
                f' with address = "0.0.0.0:{port}"'
            )


def _inet_addresses(config: Config) -> Iterator[InetAddress]:
    for listen in config.listen:
        if isinstance(listen.address, InetAddress):
            yield listen.address


def trusted_networks(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of trust in large networks, and of trust that has no effect."""
    for number, listen in enumerate(config.listen):
        for key in ("proxy_from", "xclient_from"):
            networks = getattr(listen, key)
            name = f"listen[{number}].{key}"
            for network in networks:
                if network.prefixlen < SHORTEST_PREFIX:
                    yield (
                        f"{name} contains {network}: any host there can claim to be any client,"
                        " expected the addresses of your own proxies"
                    )
            if networks and isinstance(listen.address, UnixAddress):
                yield f"{name} has no effect: clients of {listen.address} have no IP address"


def bare_lf(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of large networks whose content may have bare LF."""
    for network in config.smtp.bare_lf_from:
        if network.prefixlen < SHORTEST_PREFIX:
            yield (
                f"smtp.bare_lf_from contains {network}: messages of strangers are changed,"
                " expected the addresses of your own devices"
            )


def relay_networks(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of large networks whose clients may send mail to every domain."""
    for number, route in enumerate(config.route):
        for network in route.relay_for.networks:
            if network.prefixlen < SHORTEST_PREFIX:
                yield (
                    f"route[{number}].relay_for contains {network}: an open relay for all hosts"
                    " there, expected your own networks"
                )


def tls(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of listeners without TLS, and of certificates without effect."""
    if config.tls.certificates and not _uses_tls(config):
        yield "tls.certificates has no effect: no [[listen]] and not [web] has tls"
    if config.tls.client_ca:
        yield (
            "tls.client_ca is set: the handshake fails for clients with a certificate of any"
            " other CA, as large mail providers have"
        )
    for listen in config.listen:
        exposed = listen.protocol == "smtp" and not _is_local(listen.address)
        if exposed and listen.tls == "none":
            yield f'{listen.address}: no TLS on a network: expected tls = "starttls"'
        kind = kind_of(config, listen)
        if listen.tls != "none" and kind.minimum in OBSOLETE:
            yield (
                f"{listen.address}: accepts TLS {kind.minimum}, which RFC 8996 forbids: expected a"
                " listener for old devices only"
            )


def _uses_tls(config: Config) -> bool:
    return config.web.tls or any(listen.tls != "none" for listen in config.listen)


def auth(config: Config, setup: Setup, lists: Lists) -> Iterator[str]:
    """Warn of authentication that has no effect or reveals passwords."""
    listeners = [listen for listen in config.listen if listen.auth]
    if config.auth.users and not listeners:
        yield "auth.users has no effect: no [[listen]] has auth"
    if setup.authority is not None and not any(setup.authority.offered_mechanisms()):
        yield "no client can authenticate: auth.users has no user, see gatepost users add"
    for listen in listeners:
        if config.auth.clear and not _is_local(listen.address):
            yield (
                f"{listen.address}: auth.clear allows passwords without TLS: any host on the path"
                " can read them"
            )
    if lists.users is not None and lists.users.path.is_file():
        yield from _readable_by_others(lists.users.path)


def _readable_by_others(path: Path) -> Iterator[str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IRWXO:
        yield f"{path}: mode {mode:o} gives access to all users, expected 600 or 640"


def _is_local(address: ListenAddress) -> bool:
    return not isinstance(address, InetAddress) or ip_address(address.host).is_loopback
