"""Logging in to a next hop: AUTH PLAIN and LOGIN (RFC 4954, RFC 4616).

Security: a password is said under TLS or on this machine only, unless the configuration says
otherwise; nothing of it is in an error, an event's text or a log. Whether the next hop is who it
should be is for TLS to find out: `tls = "verified"`.
"""

from collections.abc import Awaitable, Callable

from gatepost.delivery.smtp import errors
from gatepost.delivery.smtp.link import Link
from gatepost.delivery.smtp.settings import Settings
from gatepost.model.reply import Reply
from gatepost.wire import events as e


async def log_in(link: Link, settings: Settings, *, private: bool) -> None:
    """Log in by the first mechanism that the next hop offers; raises `NextHopError`.

    `private` is whether the connection does not leave this machine.
    """
    if not (private or link.facts or settings.options.auth_in_clear):
        raise errors.no_login(f"{link.name}: AUTH only under TLS")
    offered = link.wire.extensions.get("AUTH", "").upper().split()
    mechanism = next((one for one in MECHANISMS if one in offered), None)
    if mechanism is None:
        names = ", ".join(MECHANISMS)
        raise errors.no_login(f"{link.name}: expected AUTH with one of {names}, found {offered}")
    reply = await MECHANISMS[mechanism](link, settings)
    if not 200 <= reply.code < 300:
        raise errors.no_login(f"{link.name}: AUTH {mechanism}: {reply}")


async def _plain(link: Link, settings: Settings) -> Reply:
    response = f"\0{settings.options.user}\0{settings.password}".encode()
    return await _say(link, settings, e.Auth("PLAIN", response))


async def _login(link: Link, settings: Settings) -> Reply:
    """Answer the two questions, whatever they are called."""
    reply = await _say(link, settings, e.Auth("LOGIN", None))
    for response in (settings.options.user, settings.password):
        if reply.code == 334:
            reply = await _say(link, settings, e.AuthResponse(response.encode()))
    return reply


async def _say(link: Link, settings: Settings, event: e.Event) -> Reply:
    (reply,) = await link.exchange([event], settings.options.command_timeout)
    return reply


MECHANISMS: dict[str, Callable[[Link, Settings], Awaitable[Reply]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
}
