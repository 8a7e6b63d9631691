"""Sends one message of a delivery over one connection: MAIL, RCPT, and DATA or BDAT.

Theory of operation: with PIPELINING the envelope and DATA are one write (RFC 2920) and the content
is another, so a message costs two waits. With BDAT (RFC 3030) the command goes with the content. A
next hop that refuses every recipient refuses DATA too; if it replies 354 to DATA it violates the
protocol, and the wire ends the connection.

If a message cannot be sent completely, the connection is closed, so that the next hop never takes
a part of a message for all of it.
"""

from collections.abc import Sequence

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.envelope import Commands, make_commands
from gatepost.delivery.smtp.connection.link import Link, find_shutdown
from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient
from gatepost.wire import events as e

_DATA = e.Data()
_RSET = e.Rset()
# RFC 5321 s4.2.4: the command is not recognised, or not implemented.
_UNSUPPORTED = frozenset({500, 501, 502, 504})


async def transfer(
    link: Link, delivery: Delivery, options: ClientConfig
) -> dict[Recipient, DeliveryError]:
    """Send a message; return the recipients that do not have it, which may be all.

    Raise `DeliveryError` if the reason is not about a recipient, and `NextHopError` if it is the
    connection.
    """
    envelope = make_commands(delivery, link.wire.extensions)
    failures = envelope.failures
    if not envelope.rcpts:
        return failures
    chunked = options.chunking and "CHUNKING" in link.wire.extensions
    accepted, refusal = await _send_envelope(link, envelope, options, with_data=not chunked)
    if not accepted:
        return failures
    if refusal is not None:
        raise errors.refused(refusal, f"{link.name}: DATA")
    await _send_content(link, delivery, envelope, accepted, options, chunked=chunked)
    if "DSN" in link.wire.extensions:
        delivery.dsn_delegated.update(accepted)
    return failures


async def _send_envelope(
    link: Link, envelope: Commands, options: ClientConfig, *, with_data: bool
) -> tuple[list[Recipient], Reply | None]:
    """Return the accepted recipients, and the refusal of DATA; add refused ones to `failures`."""
    link.messages += 1
    commands: list[e.Event] = [_RSET] if link.dirty else []
    start = len(commands)
    commands += (envelope.mail, *(command for _, command in envelope.rcpts))
    pipelining = "PIPELINING" in link.wire.extensions
    if with_data and pipelining:
        commands.append(_DATA)
    try:
        replies = await link.exchange(commands, options.command_timeout)
    except errors.NextHopError as error:
        replies = list(error.replies)
        if len(replies) < len(commands) - 1 or not _all_refused(envelope, replies[start:]):
            raise
    shutdown = find_shutdown(replies)
    if shutdown is not None:
        raise errors.refused(shutdown, link.name)
    mail, *others = replies[start:]
    if mail.code >= 400:
        raise errors.mail_refused(mail, link.name)
    accepted = _accepted(link, envelope, others)
    refusal = others[-1] if with_data and pipelining and others[-1].code >= 400 else None
    if with_data and not pipelining and accepted:
        (answer,) = await link.exchange([_DATA], options.command_timeout)
        refusal = answer if answer.code >= 400 else None
    return accepted, refusal


def _check_chunking(link: Link, ends: Sequence[Reply | errors.NextHopError]) -> None:
    """Raise `ChunkingRefusedError` if all replies refuse the command BDAT itself.

    Such a server may read the content as commands, so the connection is closed.
    """
    first = ends[0]
    if isinstance(first, Reply) and all(
        isinstance(end, Reply) and end.code in _UNSUPPORTED for end in ends
    ):
        link.abort()
        raise errors.chunking_refused(first, link.name)


def _all_refused(envelope: Commands, replies: Sequence[Reply]) -> bool:
    """Return whether every recipient has been refused, so that no later reply matters."""
    answered = replies[1 : len(envelope.rcpts) + 1]
    return len(answered) == len(envelope.rcpts) and all(one.code >= 400 for one in answered)


def _accepted(link: Link, envelope: Commands, replies: Sequence[Reply]) -> list[Recipient]:
    accepted = []
    for (recipient, _), reply in zip(envelope.rcpts, replies, strict=False):
        if reply.code >= 400:
            envelope.failures[recipient] = errors.refused(reply, f"{link.name}: RCPT")
        else:
            accepted.append(recipient)
    return accepted


async def _send_content(
    link: Link,
    delivery: Delivery,
    envelope: Commands,
    accepted: Sequence[Recipient],
    options: ClientConfig,
    *,
    chunked: bool,
) -> None:
    """Send the content; add the recipients that are refused after it to `failures`."""
    link.content_sent = True
    chunk = e.Bdat(envelope.size, last=True, first=True) if chunked else None
    each = link.wire.hello == "LHLO"
    ends = await link.send_content(
        chunk,
        delivery.message,
        len(accepted) if each else 1,
        options.data_timeout,
        options.end_timeout,
    )
    if chunked:
        _check_chunking(link, ends)
    for recipient, end in zip(accepted, ends if each else ends * len(accepted), strict=True):
        if isinstance(end, DeliveryError):
            envelope.failures[recipient] = end
        elif end.code >= 400:
            envelope.failures[recipient] = errors.refused(end, f"{link.name}: end of message")
        else:
            delivery.transaction.next_hops[link.name] = str(end)
