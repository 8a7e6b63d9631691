"""Who is told what became of a message: only senders that somebody vouches for.

Security: a reverse-path is whatever the client says. A notice to a stranger is mail to whom a
spammer likes (backscatter). So a sender is told only if the client has authenticated, or is this
machine – by loopback or a Unix socket – and speaks for nobody else (PROXY, XCLIENT). The null
reverse-path is never told anything (RFC 5321 section 4.5.5).

RFC 3461: a recipient's NOTIFY says of what the sender wants to be told.
"""

from functools import lru_cache
from ipaddress import ip_address

from gatepost.delivery.spool.records import MessageFacts, RecipientFacts
from gatepost.model.session import Endpoint


def may_be_told(facts: MessageFacts) -> bool:
    """Whether the sender of a message may have notices."""
    if not facts.reverse_path:
        return False
    speaks_for_itself = facts.via is None and facts.xclient is None
    return facts.auth is not None or (speaks_for_itself and _is_here(facts.peer))


def _is_here(peer: Endpoint) -> bool:
    is_loopback = _loopback(peer.host)
    return peer.port == 0 if is_loopback is None else is_loopback


@lru_cache(maxsize=4096)
def _loopback(host: str) -> bool | None:
    """Return whether an address is this machine's; None for the name of a Unix socket."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return None


def wants(recipient: RecipientFacts, event: str) -> bool:
    """Whether a sender wants to be told of an event, FAILURE or DELAY, as NOTIFY says it."""
    notify = recipient.params.get("NOTIFY", "FAILURE,DELAY")
    return event in notify.upper().split(",")
