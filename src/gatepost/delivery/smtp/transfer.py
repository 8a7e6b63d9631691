"""One message of a delivery over one connection: MAIL, RCPT, DATA or BDAT, and what came of it.

Theory of operation: with PIPELINING all of the envelope and DATA go out in one write (RFC 2920),
the content in another: two waits for a message. By BDAT (RFC 3030) likewise, the command with the
content. A next hop that refuses every recipient has said 5yz or 4yz to DATA as well; one that says
354 there is not to be trusted, and the wire ends the connection.

A message that was not finished is none: the connection is closed rather than the content cut short.
"""

from collections.abc import Sequence

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.envelope import Envelope, make_envelope
from gatepost.delivery.smtp.link import Link, said_goodbye
from gatepost.delivery.target import Delivery, DeliveryError
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient
from gatepost.wire import events as e

_DATA = e.Data()
_RSET = e.Rset()

Outcome = dict[Recipient, DeliveryError]


async def transfer(link: Link, delivery: Delivery, options: ClientConfig) -> Outcome:
    """Hand a message over; return whose mail was not taken, which may be everybody's.

    Raises `DeliveryError` where the reason has nothing to do with a recipient; `NextHopError` where
    the connection is the reason.
    """
    envelope = make_envelope(delivery, link.wire.extensions)
    failures = envelope.failures
    if not envelope.rcpts:
        return failures
    chunked = options.chunking and "CHUNKING" in link.wire.extensions
    accepted, refusal = await _open(link, envelope, options, with_data=not chunked)
    if not accepted:
        return failures
    if refusal is not None:
        raise errors.refused(refusal, f"{link.name}: DATA")
    await _send(link, delivery, envelope, accepted, options, chunked=chunked)
    if "DSN" in link.wire.extensions:
        delivery.taken_on.update(accepted)
    return failures


async def _open(
    link: Link, envelope: Envelope, options: ClientConfig, *, with_data: bool
) -> tuple[list[Recipient], Reply | None]:
    """Return the recipients that are accepted, the others noted, and a refusal of DATA."""
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
    goodbye = said_goodbye(replies)
    if goodbye is not None:
        raise errors.refused(goodbye, link.name)
    mail, *others = replies[start:]
    if mail.code >= 400:
        raise errors.refused(mail, f"{link.name}: MAIL")
    accepted = _sort(link, envelope, others)
    refusal = others[-1] if with_data and pipelining and others[-1].code >= 400 else None
    if with_data and not pipelining and accepted:
        (answer,) = await link.exchange([_DATA], options.command_timeout)
        refusal = answer if answer.code >= 400 else None
    return accepted, refusal


def _all_refused(envelope: Envelope, replies: Sequence[Reply]) -> bool:
    """Whether every recipient has been refused, so that nothing more matters."""
    answered = replies[1 : len(envelope.rcpts) + 1]
    return len(answered) == len(envelope.rcpts) and all(one.code >= 400 for one in answered)


def _sort(link: Link, envelope: Envelope, replies: Sequence[Reply]) -> list[Recipient]:
    accepted = []
    for (recipient, _), reply in zip(envelope.rcpts, replies, strict=False):
        if reply.code >= 400:
            envelope.failures[recipient] = errors.refused(reply, f"{link.name}: RCPT")
        else:
            accepted.append(recipient)
    return accepted


async def _send(
    link: Link,
    delivery: Delivery,
    envelope: Envelope,
    accepted: Sequence[Recipient],
    options: ClientConfig,
    *,
    chunked: bool,
) -> None:
    """Send the content; note whose mail is refused after it."""
    link.begun = True
    chunk = e.Bdat(envelope.size, last=True, first=True) if chunked else None
    each = link.wire.hello == "LHLO"
    ends = await link.send_content(
        chunk,
        delivery.message,
        len(accepted) if each else 1,
        options.data_timeout,
        options.end_timeout,
    )
    for recipient, end in zip(accepted, ends if each else ends * len(accepted), strict=True):
        if isinstance(end, DeliveryError):
            envelope.failures[recipient] = end
        elif end.code >= 400:
            envelope.failures[recipient] = errors.refused(end, f"{link.name}: end of message")
