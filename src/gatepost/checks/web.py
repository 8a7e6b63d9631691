"""The dashboard at addresses where others can read passwords, or claim to be a user."""

from collections.abc import Iterator
from ipaddress import ip_address

from gatepost.config.listen import InetAddress, parse_listen_address
from gatepost.config.schema import Config
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup

# The shortest prefix of a private network: 10.0.0.0/8 and fd00::/8 have it.
SHORTEST_PREFIX = 8


def address(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of passwords without TLS on a network."""
    host = _host(config)
    if not host or ip_address(host).is_loopback or config.web.tls:
        return
    found = ip_address(host)
    is_public = found.is_global or found.is_unspecified
    if is_public or not config.web.proxy_from:
        yield (
            f"web.listen: {config.web.listen} is on a network and has no TLS: any host on the path"
            " can read passwords and pages, expected web.tls = true, or 127.0.0.1 behind a"
            " reverse proxy"
        )


def tls(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of settings without effect."""
    if not config.web.listen:
        for key in ("tls", "proxy_from", "user_header", "public_status"):
            if getattr(config.web, key):
                yield f"web.{key} has no effect: web.listen is empty"


def proxies(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of trust in too many proxies, and of a header that none sends."""
    web = config.web
    for network in web.proxy_from:
        if network.prefixlen < SHORTEST_PREFIX:
            yield (
                f"web.proxy_from contains {network}: any host there can claim to be any user of the"
                " dashboard, expected the addresses of your own proxies"
            )
    if web.user_header and not web.proxy_from and not web.listen.startswith("unix:"):
        yield "web.user_header has no effect: web.proxy_from is empty"


def ledger(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of a dashboard without records."""
    if config.web.listen and not config.ledger.enabled:
        yield "web.listen is set, but ledger.enabled is false: the dashboard has no messages"


def _host(config: Config) -> str:
    """Return the IP address of the dashboard, "" for a Unix socket or none."""
    if not config.web.listen:
        return ""
    found = parse_listen_address(config.web.listen)
    return found.host if isinstance(found, InetAddress) else ""
