"""Which hosts take the mail of a domain, in what order: RFC 5321 section 5.1, RFC 7505.

The hosts of its MX records by preference, those of one preference in any order; without MX records
the domain itself. A null MX says that the domain takes no mail. If this host is among them, only
those that are preferred to it are tried: otherwise mail would go round in circles.
"""

import secrets
from typing import NoReturn

from gatepost.delivery.smtp import errors
from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.net.resolver import NoSuchNameError, ResolveError, Resolver

# A domain with more is not more reliable, only more work.
MAX_HOSTS = 20

_shuffle = secrets.SystemRandom().random


async def exchangers(resolver: Resolver, domain: str, hostname: str) -> list[str]:
    """Return host names, the one to try first in front; raises `DeliveryError`.

    `domain` is in A-labels, or an address literal; `hostname` is this host's name.
    """
    if domain.startswith("["):
        return [domain[1:-1].removeprefix("ipv6:")]
    try:
        found = await resolver.mx(domain)
    except NoSuchNameError:
        _refuse("5.1.2", f"There is no domain {domain}")
    except ResolveError as error:
        raise unresolved(str(error)) from error
    if not found:
        return [domain]
    hosts = _ordered(found, hostname)
    if not hosts:
        _refuse("5.4.6", f"Mail for {domain} would come back here")
    return hosts[:MAX_HOSTS]


def _ordered(found: list[tuple[int, str]], hostname: str) -> list[str]:
    named = [(preference, host) for preference, host in found if host]
    if not named:
        _refuse("5.1.10", "The recipient's domain takes no mail", code=556)  # RFC 7505 s4.2
    ours = min((preference for preference, host in named if host == hostname), default=None)
    if ours is not None:
        named = [(preference, host) for preference, host in named if preference < ours]
    return [host for _, _, host in sorted((one, _shuffle(), host) for one, host in named)]


def unresolved(detail: str) -> DeliveryError:
    """Return the error where the DNS has no answer now (RFC 3463 X.4.3)."""
    text = "The recipient's domain cannot be looked up, please try again later"
    return DeliveryError(text, detail=detail, reply=Reply(451, text, "4.4.3"))


def _refuse(enhanced: str, text: str, code: int = 550) -> NoReturn:
    raise errors.impossible(enhanced, text, code=code)
