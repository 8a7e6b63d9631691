"""What goes wrong on the way to a next hop, as `DeliveryError`s with the reply to give.

All of it but the next hop's own refusals is temporary: another attempt may find it well. Codes are
of RFC 3463, sections 3.5 (network), 3.6 (protocol) and 3.8 (security).
"""

from collections.abc import Sequence

from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.wire.smtp.client import SHUTTING_DOWN

_TRY_AGAIN = "please try again later"


class NextHopError(DeliveryError):
    """The connection is of no use any more, or never was.

    `replies` are those to the group of commands it ended in, as far as they had come.
    """

    replies: Sequence[Reply] = ()

    @property
    def answered(self) -> bool:
        """False: nobody was there who could have said no, whatever the client is told."""
        return False


def _temporary(enhanced: str, text: str, detail: str) -> NextHopError:
    text = f"{text}, {_TRY_AGAIN}"
    return NextHopError(text, detail=detail, reply=Reply(451, text, enhanced))


def unreachable(detail: str) -> NextHopError:
    """Return: no connection, or nobody there who wants to talk."""
    return _temporary("4.4.1", "The next hop cannot be reached", detail)


def broken_off(detail: str) -> NextHopError:
    """Return: the connection ended, or nothing came in time."""
    return _temporary("4.4.2", "The connection to the next hop was lost", detail)


def not_understood(detail: str) -> NextHopError:
    """Return: the next hop does not keep to the protocol."""
    return _temporary("4.5.0", "The next hop cannot be understood", detail)


def no_tls(detail: str) -> NextHopError:
    """Return: TLS is not to be had, and nothing may be sent without."""
    return _temporary("4.7.4", "The next hop offers no secure connection", detail)


def tls_failed(detail: str) -> NextHopError:
    """Return: the handshake failed."""
    return _temporary("4.7.5", "The next hop offers no trustworthy connection", detail)


def no_login(detail: str) -> NextHopError:
    """Return: the next hop does not let us log in."""
    return _temporary("4.7.0", "The next hop does not let us in", detail)


def busy(detail: str) -> NextHopError:
    """Return: no connection became free in time."""
    return _temporary("4.4.5", "The next hop is busy", detail)


def refused(reply: Reply, detail: str) -> DeliveryError:
    """Return the next hop's own refusal; its 421 is about the connection, and not said on ours."""
    detail = f"{detail}: {reply}"
    if reply.code == SHUTTING_DOWN:
        reply = Reply(451, reply.text, reply.enhanced)
        return NextHopError(reply.text, detail=detail, reply=reply)
    return DeliveryError(reply.text, permanent=reply.code >= 500, detail=detail, reply=reply)


def impossible(enhanced: str, text: str, *, code: int = 550) -> DeliveryError:
    """Return a refusal of what the next hop cannot take, without asking it."""
    return DeliveryError(text, permanent=True, reply=Reply(code, text, enhanced))
