"""Authentication to a next hop: AUTH PLAIN and LOGIN (RFC 4954, RFC 4616).

Security: a password is sent only under TLS or on this machine, unless the configuration permits
more. It never appears in an error, the text of an event or a log. AUTH does not prove the identity
of the next hop; `tls = "verified"` does.
"""

from collections.abc import Awaitable, Callable

from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.connection.link import Link
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.model.reply import Reply
from gatepost.wire import events as e


async def log_in(link: Link, settings: ClientSettings, *, private: bool) -> None:
    """Authenticate with the first mechanism that the next hop offers; raise `NextHopError`.

    `private` is whether the connection does not leave this machine.
    """
    if not (private or link.facts or settings.options.auth_in_clear):
        raise errors.auth_failed(f"{link.name}: AUTH requires TLS")
    offered = link.wire.extensions.get("AUTH", "").upper().split()
    mechanism = next((one for one in MECHANISMS if one in offered), None)
    if mechanism is None:
        names = ", ".join(MECHANISMS)
        raise errors.auth_failed(f"{link.name}: expected AUTH with one of {names}, found {offered}")
    reply = await MECHANISMS[mechanism](link, settings)
    if not 200 <= reply.code < 300:
        raise errors.auth_failed(f"{link.name}: AUTH {mechanism}: {reply}")


async def _plain(link: Link, settings: ClientSettings) -> Reply:
    response = f"\0{settings.options.user}\0{settings.password}".encode()
    return await _exchange(link, settings, e.Auth("PLAIN", response))


async def _login(link: Link, settings: ClientSettings) -> Reply:
    """Answer the two challenges, whatever their text."""
    reply = await _exchange(link, settings, e.Auth("LOGIN", None))
    for response in (settings.options.user, settings.password):
        if reply.code == 334:
            reply = await _exchange(link, settings, e.AuthResponse(response.encode()))
    return reply


async def _exchange(link: Link, settings: ClientSettings, event: e.Event) -> Reply:
    (reply,) = await link.exchange([event], settings.options.command_timeout)
    return reply


MECHANISMS: dict[str, Callable[[Link, ClientSettings], Awaitable[Reply]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
}
