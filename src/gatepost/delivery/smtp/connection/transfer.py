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
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient
from gatepost.wire import events as e

_DATA = e.Data()
_RSET = e.Rset()
# RFC 5321 s4.2.4: the command is not recognised, or not implemented.
_UNSUPPORTED = frozenset({500, 501, 502, 504})


async def transfer(link: Link, delivery: Delivery, options: ClientConfig) -> Failures | None:
    """Send a message; return the recipients that do not have it, which may be all, None if all do.

    Raise `DeliveryError` if the reason is not about a recipient, and `NextHopError` if it is the
    connection.
    """
    envelope = make_commands(delivery, link.wire.extensions)
    failures = envelope.failures
    if not envelope.rcpts:
        return failures
    extensions = link.wire.extensions
    chunked = options.chunking and "CHUNKING" in extensions
    grouped = not chunked and "PIPELINING" in extensions
    link.messages += 1
    commands: list[e.Event] = [_RSET] if link.dirty else []
    start = len(commands)
    commands += (envelope.mail, *(command for _, command in envelope.rcpts))
    if grouped:
        commands.append(_DATA)
    try:
        replies = await link.exchange(commands, options.command_timeout)
    except errors.NextHopError as error:
        replies = _refusals(envelope, error, len(commands), start)
    accepted = _accepted(link, envelope, replies, start)
    if not accepted:
        return failures
    if not chunked:
        if not grouped:
            replies = await link.exchange([_DATA], options.command_timeout)
        if replies[-1].code >= 400:
            raise errors.refused(replies[-1], f"{link.name}: DATA")
    link.content_sent = True
    ends = await link.send_content(
        e.Bdat(envelope.size, last=True, first=True) if chunked else None,
        delivery.message,
        len(accepted) if link.wire.hello == "LHLO" else 1,
        options.data_timeout,
        options.end_timeout,
    )
    if chunked:
        _check_chunking(link, ends)
    _note_ends(link, delivery, envelope, accepted, ends)
    if "DSN" in extensions:
        delivery.dsn_delegated.update(accepted)
    return failures or None


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


def _refusals(
    envelope: Commands, error: errors.NextHopError, commands: int, start: int
) -> list[Reply]:
    """Return the replies of a connection that has ended, if every recipient was refused.

    All commands but the last must have been answered. Otherwise raise the error.
    """
    replies = list(error.replies)
    if len(replies) < commands - 1 or not _all_refused(envelope, replies[start:]):
        raise error
    return replies


def _all_refused(envelope: Commands, replies: Sequence[Reply]) -> bool:
    """Return whether every recipient has been refused, so that no later reply matters."""
    answered = replies[1 : len(envelope.rcpts) + 1]
    return len(answered) == len(envelope.rcpts) and all(one.code >= 400 for one in answered)


def _accepted(
    link: Link, envelope: Commands, replies: Sequence[Reply], start: int
) -> list[Recipient]:
    """Return the accepted recipients, and add the refused ones to `failures`.

    The reply to MAIL is at `start`. Raise `DeliveryError` if it is a refusal, or if any is a 421.
    """
    shutdown = find_shutdown(replies)
    if shutdown is not None:
        raise errors.refused(shutdown, link.name)
    if replies[start].code >= 400:
        raise errors.mail_refused(replies[start], link.name)
    accepted = []
    for (recipient, _), reply in zip(envelope.rcpts, replies[start + 1 :], strict=False):
        if reply.code >= 400:
            envelope.failures[recipient] = errors.refused(reply, f"{link.name}: RCPT")
        else:
            accepted.append(recipient)
    return accepted


def _note_ends(
    link: Link,
    delivery: Delivery,
    envelope: Commands,
    accepted: Sequence[Recipient],
    ends: list[Reply | errors.NextHopError],
) -> None:
    """Add the recipients that are refused after the content to `failures`."""
    each = ends if link.wire.hello == "LHLO" else ends * len(accepted)
    for recipient, end in zip(accepted, each, strict=True):
        if isinstance(end, DeliveryError):
            envelope.failures[recipient] = end
        elif end.code >= 400:
            envelope.failures[recipient] = errors.refused(end, f"{link.name}: end of message")
        else:
            delivery.transaction.next_hops[link.name] = str(end)
