"""The hosts that accept the mail of a domain, in order: RFC 5321 section 5.1, RFC 7505.

These are the hosts of its MX records by preference, in random order for the same preference, or the
domain itself if it has no MX records. A null MX means that the domain accepts no mail. If this host
is among them, only hosts with a better preference are used, to avoid mail loops.
"""

import secrets
from typing import NoReturn

from gatepost.delivery.smtp import errors
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.net.resolve_error import NoSuchNameError, ResolveError
from gatepost.net.resolver import Resolver

# More hosts do not make a domain more reliable.
MAX_HOSTS = 20

_shuffle = secrets.SystemRandom().random


async def mail_hosts(resolver: Resolver, domain: str, hostname: str) -> list[str]:
    """Return host names in the order in which to try them; raise `DeliveryError`.

    `domain` is in A-labels, or an address literal; `hostname` is this host's name.
    """
    if domain.startswith("["):
        return [domain[1:-1].removeprefix("ipv6:")]
    try:
        found = await resolver.mx(domain)
    except NoSuchNameError:
        _refuse("5.1.2", f"Domain {domain} not found")
    except ResolveError as error:
        raise lookup_failed(str(error)) from error
    if not found:
        return [domain]
    hosts = _ordered(found, hostname)
    if not hosts:
        _refuse("5.4.6", f"Mail for {domain} loops back to this server")
    return hosts[:MAX_HOSTS]


def _ordered(found: list[tuple[int, str]], hostname: str) -> list[str]:
    named = [(preference, host) for preference, host in found if host]
    if not named:
        _refuse(
            "5.1.10", "Recipient domain does not accept mail (null MX)", code=556
        )  # RFC 7505 s4.2
    ours = min((preference for preference, host in named if host == hostname), default=None)
    if ours is not None:
        named = [(preference, host) for preference, host in named if preference < ours]
    return [host for _, _, host in sorted((one, _shuffle(), host) for one, host in named)]


def lookup_failed(detail: str) -> DeliveryError:
    """Return the error for a temporary failure of the DNS (RFC 3463 X.4.3)."""
    text = "DNS lookup of recipient domain failed, please try again later"
    return DeliveryError(text, detail=detail, reply=Reply(451, text, "4.4.3"))


def _refuse(enhanced: str, text: str, code: int = 550) -> NoReturn:
    raise errors.impossible(enhanced, text, code=code)
