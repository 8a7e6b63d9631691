"""Problems on the way to a next hop, as `DeliveryError`s with the reply for the client.

All are temporary except the next hop's own refusals. The enhanced status codes are those of
RFC 3463, sections 3.5 (network), 3.6 (protocol) and 3.8 (security).
"""

from collections.abc import Sequence

from gatepost.delivery.target import DeliveryError
from gatepost.model.reply import Reply
from gatepost.wire.smtp.sending.client import SHUTTING_DOWN

_TRY_AGAIN = "please try again later"


class NextHopError(DeliveryError):
    """The connection cannot be used, or could not be opened.

    `replies` are those received to the group of commands during which it failed.
    """

    replies: Sequence[Reply] = ()

    @property
    def answered(self) -> bool:
        """Return False: the next hop has not refused the message, whatever the client's reply."""
        return False


class MailRefusedError(DeliveryError):
    """The next hop has refused MAIL, perhaps because of earlier messages on the connection."""


class ChunkingRefusedError(DeliveryError):
    """The next hop offers CHUNKING, but does not support BDAT. It has not taken the message."""


class UncertainError(NextHopError):
    """The next hop may have the message: its end was sent, and no reply came."""


class NoSuchHostError(NextHopError):
    """A host of the DNS has no address."""


def _temporary(enhanced: str, text: str, detail: str) -> NextHopError:
    text = f"{text}, {_TRY_AGAIN}"
    return NextHopError(text, detail=detail, reply=Reply(451, text, enhanced))


def unreachable(detail: str) -> NextHopError:
    """Return the error for no connection, or a refused greeting or EHLO."""
    return _temporary("4.4.1", "Cannot connect to next hop", detail)


def connection_lost(detail: str) -> NextHopError:
    """Return the error for a connection that ended or timed out."""
    return _temporary("4.4.2", "Connection to next hop lost", detail)


def uncertain(detail: str) -> UncertainError:
    """Return the error for a connection that was lost after the end of the message."""
    lost = connection_lost(f"{detail}; unknown whether the message was taken")
    return UncertainError(lost.text, detail=lost.detail, reply=lost.reply)


def no_such_host(host: str) -> NoSuchHostError:
    """Return the error for a host without an address."""
    failure = unreachable(f"{host}: no address")
    return NoSuchHostError(failure.text, detail=failure.detail, reply=failure.reply)


def protocol_error(detail: str) -> NextHopError:
    """Return the error for a next hop that violates the protocol."""
    return _temporary("4.5.0", "Protocol error from next hop", detail)


def no_tls(detail: str) -> NextHopError:
    """Return the error for a next hop without TLS where TLS is compulsory."""
    return _temporary("4.7.4", "TLS is required, but was not offered by next hop", detail)


def tls_failed(detail: str) -> NextHopError:
    """Return the error for a failed TLS handshake."""
    return _temporary("4.7.5", "TLS handshake with next hop failed", detail)


def auth_failed(detail: str) -> NextHopError:
    """Return the error for a failed authentication."""
    return _temporary("4.7.0", "Authentication to next hop failed", detail)


def busy(detail: str) -> NextHopError:
    """Return the error for too few connections."""
    return _temporary("4.4.5", "Too many connections to next hop", detail)


def shut_down(reply: Reply, detail: str) -> NextHopError:
    """Return the error for a 421. It is about the connection, so the client gets 451 instead."""
    client_reply = Reply(451, reply.text, reply.enhanced)
    return NextHopError(reply.text, detail=f"{detail}: {reply}", reply=client_reply)


def refused(reply: Reply, detail: str) -> DeliveryError:
    """Return the next hop's own refusal."""
    if reply.code == SHUTTING_DOWN:
        return shut_down(reply, detail)
    detail = f"{detail}: {reply}"
    return DeliveryError(reply.text, permanent=reply.code >= 500, detail=detail, reply=reply)


def chunking_refused(reply: Reply, detail: str) -> ChunkingRefusedError:
    """Return the next hop's refusal of the command BDAT."""
    error = refused(reply, f"{detail}: BDAT")
    return ChunkingRefusedError(error.text, permanent=True, detail=error.detail, reply=reply)


def mail_refused(reply: Reply, detail: str) -> DeliveryError:
    """Return the next hop's refusal of MAIL."""
    error = refused(reply, f"{detail}: MAIL")
    if isinstance(error, NextHopError):
        return error
    return MailRefusedError(
        error.text, permanent=error.permanent, detail=error.detail, reply=error.reply
    )


def impossible(enhanced: str, text: str, *, code: int = 550) -> DeliveryError:
    """Return the permanent error for mail that the next hop cannot accept, without asking it."""
    return DeliveryError(text, permanent=True, reply=Reply(code, text, enhanced))
