"""Opens a connection to a next hop, up to the point where MAIL can be sent.

The order: PROXY header, implicit TLS, greeting, EHLO, STARTTLS and EHLO again, XCLIENT and EHLO
again, AUTH. A refusal here is temporary (`NextHopError`), because it is not about a message. The
next address of the host is tried after it.

Security: if TLS is compulsory, only EHLO is sent without it. With `tls = "opportunistic"` a failed
handshake, or a connection that is closed after STARTTLS, is followed by a connection without TLS,
as for a next hop that offers none.
"""

import asyncio
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.forward import (
    ForwardedClient,
    greeting_name,
    proxy_header,
    xclient,
)
from gatepost.delivery.smtp.connection.link import Link
from gatepost.delivery.smtp.connection.login import log_in
from gatepost.delivery.smtp.hop import Hop
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.model.reply import Reply
from gatepost.wire import events as e
from gatepost.wire.smtp.sending.client import SHUTTING_DOWN, LmtpClient, SmtpClient

_Result = TypeVar("_Result")

# More addresses do not make a host more reliable.
MAX_ADDRESSES = 20

_TLS_FAILED = errors.tls_failed("").reply
_LOST = errors.connection_lost("").reply
_AUTH_FAILED = errors.auth_failed("").reply


async def dial(
    hop: Hop,
    settings: ClientSettings,
    client: ForwardedClient | None = None,
    addresses: Sequence[str] = (),
) -> Link:
    """Return a connection that is ready for MAIL; raise `NextHopError` of the last address.

    `client` is the identity to forward. `addresses` are the host's, if they are known; otherwise
    the system looks them up. Each is tried until one is ready. A failed authentication is final,
    because another attempt could lock the account.
    """
    problem = errors.unreachable(f"{hop}: no address")
    for address in addresses or await _look_up(hop):
        try:
            return await _dial_securely(hop, settings, client, address)
        except errors.NextHopError as error:
            if error.reply == _AUTH_FAILED:
                raise
            problem = error
    raise problem


async def _look_up(hop: Hop) -> Sequence[str]:
    """Return the addresses that the system has for a name, or the address itself."""
    if hop.path or hop.is_address:
        return (hop.host,)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise errors.unreachable(f"{hop}: {hop.host}: {error.strerror or error}") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))[:MAX_ADDRESSES]


async def _dial_securely(
    hop: Hop, settings: ClientSettings, client: ForwardedClient | None, address: str
) -> Link:
    """Connect with TLS as configured; with opportunistic TLS again without it after a failure."""
    try:
        return await _dial(hop, settings, client, address, secure=settings.tls.mode != "none")
    except errors.NextHopError as error:
        if (
            settings.tls.mode != "opportunistic"
            or hop.scheme == "smtps"
            or error.reply != _TLS_FAILED
        ):
            raise
        return await _dial(hop, settings, client, address, secure=False)


async def _dial(
    hop: Hop,
    settings: ClientSettings,
    client: ForwardedClient | None,
    address: str,
    *,
    secure: bool,
) -> Link:
    link = await _connect(hop, settings, address)
    try:
        link.write(proxy_header(settings.options.forward, client))
        await _greet(link, hop, settings, secure=secure)
        if client is not None:
            await _forward(link, settings, client)
        if settings.options.user:
            await log_in(link, settings, private=hop.is_loopback)
    except BaseException:
        link.abort()
        raise
    return link


async def _connect(hop: Hop, settings: ClientSettings, address: str) -> Link:
    """Return a connection to an address; raise `NextHopError`."""
    try:
        async with asyncio.timeout(settings.options.connect_timeout):
            return await _connect_to(hop, address)
    except TimeoutError:
        problem = f"{address}: no connection within {settings.options.connect_timeout:g} s"
    except OSError as error:
        problem = f"{address}: {error.strerror or error}"
    raise errors.unreachable(f"{hop}: {problem}")


async def _connect_to(hop: Hop, address: str) -> Link:
    loop = asyncio.get_running_loop()

    def make() -> Link:
        wire = LmtpClient() if hop.scheme == "lmtp" else SmtpClient()
        return Link(wire, str(hop))

    if hop.path:
        _, link = await loop.create_unix_connection(make, hop.path)
    else:
        _, link = await loop.create_connection(make, address, hop.port)
    return link


async def _greet(link: Link, hop: Hop, settings: ClientSettings, *, secure: bool) -> None:
    limit = settings.options.command_timeout
    if hop.scheme == "smtps":
        await link.start_tls(settings.tls, hop.host, limit)
    _check(await link.greeting(limit), link)
    await _ehlo(link, settings)
    if hop.scheme != "smtps":
        await _start_tls(link, hop, settings, secure=secure)


async def _ehlo(link: Link, settings: ClientSettings, name: str = "") -> None:
    """Send EHLO, and HELO if EHLO is refused (RFC 5321 section 3.2)."""
    name, limit = name or settings.helo, settings.options.command_timeout
    (reply,) = await link.exchange([e.Ehlo(name)], limit)
    if reply.code >= 500 and link.wire.hello == "EHLO":
        (reply,) = await link.exchange([e.Helo(name)], limit)
    _check(reply, link)


async def _start_tls(link: Link, hop: Hop, settings: ClientSettings, *, secure: bool) -> None:
    """Send STARTTLS if it is offered and the connection is to be secure (RFC 3207)."""
    tls, limit = settings.tls, settings.options.command_timeout
    offered = "STARTTLS" in link.wire.extensions
    if secure and offered:
        (reply,) = await _attempt_tls(link.exchange([e.StartTls()], limit))
        if reply.code == SHUTTING_DOWN:
            raise errors.tls_failed(f"{link.name}: STARTTLS: {reply}")
        if reply.code < 400:
            await _attempt_tls(link.start_tls(tls, hop.host, limit))
            link.wire.start_tls()
            await _attempt_tls(_ehlo(link, settings))
            return
    if tls.compulsory:
        raise errors.no_tls(f"{link.name}: STARTTLS is {'refused' if offered else 'not offered'}")


async def _attempt_tls(step: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of a step of STARTTLS; a lost connection is the error for failed TLS.

    Some servers close the connection instead of sending an alert, in TLS 1.3 also after the
    handshake.
    """
    try:
        return await step
    except errors.NextHopError as error:
        if error.reply != _LOST:
            raise
        raise errors.tls_failed(f"{error.detail} during STARTTLS") from error


async def _forward(link: Link, settings: ClientSettings, client: ForwardedClient) -> None:
    """Send XCLIENT if it is configured and offered, then EHLO with the client's name."""
    offered = link.wire.extensions.get("XCLIENT")
    if settings.options.forward != "xclient" or offered is None:
        return
    command = xclient(client, offered)
    if command is not None:
        (reply,) = await link.exchange([command], settings.options.command_timeout)
        _check(reply, link)
        await _ehlo(link, settings, greeting_name(client))


def _check(reply: Reply, link: Link) -> None:
    if reply.code >= 400:
        raise errors.unreachable(f"{link.name}: {reply}")
