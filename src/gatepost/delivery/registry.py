"""From what the configuration says to targets and routes: `maildir:PATH`, `smtp://HOST` and so on.

A new kind of target is a line in TARGETS, and one in OPTIONS for each table of the route it heeds.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatepost.config import schema
from gatepost.delivery.content import with_lf
from gatepost.delivery.discard import Discard
from gatepost.delivery.file import FileTarget
from gatepost.delivery.maildir.maildir import Maildir
from gatepost.delivery.maildir.maildirsize import Limits
from gatepost.delivery.program.pipe import LineEnds, Pipe
from gatepost.delivery.program.program import Programs
from gatepost.delivery.program.qmail_queue import QmailQueue
from gatepost.delivery.program.sendmail import Sendmail
from gatepost.delivery.routes import Router
from gatepost.delivery.smtp.hop import Scheme, parse_hop
from gatepost.delivery.smtp.mx import MxRelay
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.smtp.settings import Settings
from gatepost.delivery.smtp.verify import VerifyingRelay
from gatepost.delivery.target import Route, Target
from gatepost.net.resolver import DnsResolver


class Wanted(NamedTuple):
    """What a target is made from: the URL's `rest` behind its scheme, the route that names it.

    Relative paths start at the folder `base`; `hostname` is the server's name.
    """

    rest: str
    route: schema.RouteConfig
    base: Path
    hostname: str


def _maildir(wanted: Wanted) -> Target:
    options = wanted.route.maildir
    return Maildir(
        wanted.rest,
        base=wanted.base,
        hostname=wanted.hostname,
        inner=options.folder,
        limits=Limits(options.quota, options.quota_messages),
    )


LINE_ENDS: dict[str, LineEnds] = {"lf": with_lf, "crlf": iter}


def _programs(options: schema.PipeConfig) -> Programs:
    return Programs(timeout=options.timeout, concurrency=options.concurrency)


def _pipe(wanted: Wanted) -> Target:
    options = wanted.route.pipe
    return Pipe(
        wanted.rest,
        base=wanted.base,
        hostname=wanted.hostname,
        programs=_programs(options),
        line_ends=LINE_ENDS[options.line_ends],
    )


def _file(wanted: Wanted) -> Target:
    return FileTarget(wanted.rest, base=wanted.base, hostname=wanted.hostname)


def _sendmail(wanted: Wanted) -> Target:
    return Sendmail(wanted.rest, base=wanted.base, programs=_programs(wanted.route.pipe))


def _qmail_queue(wanted: Wanted) -> Target:
    return QmailQueue(
        wanted.rest,
        base=wanted.base,
        hostname=wanted.hostname,
        programs=_programs(wanted.route.pipe),
    )


def _relay(scheme: Scheme) -> Callable[[Wanted], Target]:
    def make(wanted: Wanted) -> Target:
        settings = Settings.make(wanted.route.client, wanted.base, wanted.hostname)
        kind = VerifyingRelay if settings.options.verify else Relay
        return kind(parse_hop(scheme, wanted.rest, wanted.base), settings)

    return make


def _mx(wanted: Wanted) -> Target:
    if wanted.rest:
        raise ValueError(f"expected nothing after the colon, found {wanted.rest!r}")
    settings = Settings.make(wanted.route.client, wanted.base, wanted.hostname)
    return MxRelay(settings, DnsResolver(), wanted.hostname)


def _discard(wanted: Wanted) -> Target:
    if wanted.rest:
        raise ValueError(f"expected nothing after the colon, found {wanted.rest!r}")
    return Discard()


TARGETS: dict[str, Callable[[Wanted], Target]] = {
    "maildir": _maildir,
    "file": _file,
    "pipe": _pipe,
    "sendmail": _sendmail,
    "qmail-queue": _qmail_queue,
    "discard": _discard,
    "smtp": _relay("smtp"),
    "smtps": _relay("smtps"),
    "lmtp": _relay("lmtp"),
    "mx": _mx,
}

# The tables of a route, and the targets that each is for.
OPTIONS: dict[str, frozenset[str]] = {
    "maildir": frozenset({"maildir"}),
    "pipe": frozenset({"pipe", "sendmail", "qmail-queue"}),
    "client": frozenset({"smtp", "smtps", "lmtp", "mx"}),
}
_DEFAULTS = schema.RouteConfig(to="discard:")


def make_target(route: schema.RouteConfig, *, base: Path, hostname: str) -> Target:
    """Return the target that a route names (scheme, colon, the rest); raises ValueError.

    Reads the files that `client` names, if any; touches no other disk, and no network. Relative
    paths start at the folder `base`; `hostname` is the server's name.
    """
    url = route.to
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in TARGETS:
        known = " or ".join(f"{name}:" for name in TARGETS)
        raise ValueError(f"expected a target that starts with {known}, found {url!r}")
    for table, heeded_by in OPTIONS.items():
        if scheme not in heeded_by and getattr(route, table) != getattr(_DEFAULTS, table):
            raise ValueError(f"target {url!r}: the table {table} says nothing to {scheme}:")
    try:
        return TARGETS[scheme](Wanted(rest, route, base, hostname))
    except ValueError as error:
        raise ValueError(f"target {url!r}: {error}") from error


def make_router(routes: Iterable[schema.RouteConfig], *, base: Path, hostname: str) -> Router:
    """Return the router for the configuration's routes; raises ValueError.

    Those that differ in nothing but their patterns are one, so a message for both is delivered
    once.
    """
    made: dict[schema.RouteConfig, Route] = {}

    def make(route: schema.RouteConfig) -> Route:
        whole = msgspec.structs.replace(route, for_=())
        if whole not in made:
            target = make_target(route, base=base, hostname=hostname)
            relays = route.relay_for == "authenticated"
            fallback = route.fallback == "queue"
            made[whole] = Route(target, route.to, route.mode, fallback, relays)
        return made[whole]

    return Router([(route.for_, make(route)) for route in routes], hostname=hostname)
