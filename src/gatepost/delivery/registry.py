"""Makes targets and routes from the configuration.

The scheme of a route's `to` names the target. Built-in targets are the lines of BUILT_IN; they are
imported when a route uses them. Other packages add targets by entry points of the group
ENTRY_POINT_GROUP: the name is the scheme, the object a class derived from `Target`. They cannot
replace a built-in one. A program that embeds the server can pass more.

Security: a target is code that runs with the server's rights. Only targets that a route names are
imported.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gatepost.config import schema
from gatepost.config.kinds import TableKind, keys
from gatepost.config.redact import redact
from gatepost.delivery.route import Route
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Target, TargetSpec
from gatepost.net.resolver import DnsResolver, Resolver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT_IN: dict[str, str] = {
    "maildir": "maildir.maildir:MaildirTarget",
    "file": "file:FileTarget",
    "pipe": "program.pipe:PipeTarget",
    "sendmail": "program.sendmail:SendmailTarget",
    "qmail-queue": "program.qmail_queue:QmailQueueTarget",
    "discard": "discard:DiscardTarget",
    "smtp": "smtp.relay_target:RelayTarget",
    "smtps": "smtp.relay_target:RelayTarget",
    "lmtp": "smtp.relay_target:RelayTarget",
    "mx": "smtp.mx_target:MxTarget",
}
ENTRY_POINT_GROUP = "gatepost.targets"

# The tables of a route with options for one kind of target.
OPTIONS_TABLES = [
    field.name for field, key in keys(schema.RouteConfig) if isinstance(key.kind, TableKind)
]
_DEFAULTS = schema.RouteConfig(to="discard:")


class RouteConfigError(ValueError):
    """Routes that cannot be used; `problems` has a line for each, which starts with the key."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class TargetRegistry:
    """The targets that a route can name, by scheme; `added` are those of an embedding program."""

    def __init__(self, added: Mapping[str, type[Target]] | None = None) -> None:
        self._added = dict(added or {})

    @functools.cached_property
    def _installed(self) -> "Mapping[str, Sequence[EntryPoint]]":
        """The targets of other packages. To find them, the files of all packages are read."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - takes milliseconds

        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=ENTRY_POINT_GROUP):
            found.setdefault(point.name, []).append(point)
        return found

    @property
    def schemes(self) -> list[str]:
        """The schemes of all targets, each once."""
        return list(dict.fromkeys((*BUILT_IN, *self._added, *self._installed)))

    def find(self, scheme: str) -> type[Target]:
        """Return the class of a scheme's target; raise ValueError if there is not exactly one."""
        if scheme in BUILT_IN:
            self._check_not_added(scheme)
            name = BUILT_IN[scheme].partition(":")[2]
            return _target_class(getattr(import_module(_module_of(scheme)), name))
        self._check_unique(scheme)
        if scheme in self._added:
            return _target_class(self._added[scheme])
        for point in self._installed.get(scheme, ()):
            return _load(point)
        raise ValueError(f'unknown target "{scheme}:", {self._hint(scheme)}')

    def _check_not_added(self, scheme: str) -> None:
        if scheme in self._added:
            raise _more_than_one(scheme, ["gatepost", "this program"])

    def _check_unique(self, scheme: str) -> None:
        providers = sorted(_provider(point) for point in self._installed.get(scheme, ()))
        if scheme in self._added:
            providers.insert(0, "this program")
        if len(providers) > 1:
            raise _more_than_one(scheme, providers)

    def _hint(self, scheme: str) -> str:
        import difflib  # noqa: PLC0415 - only for an error

        close = difflib.get_close_matches(scheme, self.schemes, n=1)
        if close:
            return f'did you mean "{close[0]}:"?'
        return f"expected one of {', '.join(f'{one}:' for one in self.schemes)}"


def _module_of(scheme: str) -> str:
    return f"gatepost.delivery.{BUILT_IN[scheme].partition(':')[0]}"


def modules_of(routes: Iterable[schema.RouteConfig]) -> set[str]:
    """Return the modules of the built-in targets that routes name."""
    schemes = {route.to.partition(":")[0] for route in routes}
    return {_module_of(scheme) for scheme in schemes & BUILT_IN.keys()}


def _more_than_one(scheme: str, providers: Iterable[str]) -> ValueError:
    return ValueError(f'target "{scheme}:" exists more than once: {", ".join(providers)}')


def _load(point: "EntryPoint") -> type[Target]:
    try:
        loaded = point.load()
    except Exception as error:
        raise ValueError(
            f'target "{point.name}:" of {_provider(point)}: import failed: {error!r}'
        ) from error
    return _target_class(loaded)


def _target_class(found: Any) -> type[Target]:
    if isinstance(found, type) and issubclass(found, Target):
        return found
    raise ValueError(f"expected a class derived from gatepost.Target, found {found!r}")


def _provider(point: "EntryPoint") -> str:
    return f"{point.dist.name if point.dist else 'unknown package'} ({point.value})"


def make_target(
    route: schema.RouteConfig,
    *,
    base: Path,
    hostname: str,
    registry: TargetRegistry | None = None,
    resolver: Resolver | None = None,
) -> Target:
    """Return the target that a route names; raise ValueError, its text starting with the key.

    This reads files that the route's options name, and uses no network. Relative paths start at
    the folder `base`; `hostname` is the server's name, `resolver` the resolver of the worker.
    """
    scheme, _, text = route.to.partition(":")
    try:
        target_class = (registry or TargetRegistry()).find(scheme)
    except ValueError as error:
        raise ValueError(f"to: {error}") from error
    table = target_class.options_table
    for name in OPTIONS_TABLES:
        if name != table and getattr(route, name) != getattr(_DEFAULTS, name):
            expected = f"expected {table}" if table else "expected no table of options"
            raise ValueError(f"{name}: not for {scheme}: targets, {expected}")
    options = getattr(route, table) if table else None
    try:
        return target_class.from_route(
            TargetSpec(scheme, text, options, base, hostname, resolver or DnsResolver())
        )
    except ValueError as error:
        raise ValueError(redact(f"to: target {route.to!r}: {error}")) from error
    except Exception as error:
        problem = redact(f"to: target {route.to!r}: could not be made: {error!r}")
        raise ValueError(problem) from error


def make_router(
    routes: Iterable[schema.RouteConfig],
    *,
    base: Path,
    hostname: str,
    targets: Mapping[str, type[Target]] | None = None,
    resolver: Resolver | None = None,
) -> Router:
    """Return the router for the configuration's routes; raise `RouteConfigError`.

    Routes that differ only in their patterns share a target, so that a message for both is
    delivered once. `targets` are those that an embedding program adds, by scheme. `resolver` is
    the resolver of the worker.
    """
    make = functools.partial(
        make_target,
        base=base,
        hostname=hostname,
        registry=TargetRegistry(targets),
        resolver=resolver or DnsResolver(),
    )
    made: dict[schema.RouteConfig, Route] = {}
    rows: list[tuple[Sequence[str], Route]] = []
    problems: list[str] = []
    for number, route in enumerate(routes):
        shared = msgspec.structs.replace(route, for_=())
        try:
            if shared not in made:
                made[shared] = _make_route(route, make(shared))
        except ValueError as error:
            problems.append(f"route[{number}].{error}")
        else:
            rows.append((route.for_, made[shared]))
    if problems:
        raise RouteConfigError(problems)
    return Router(rows, hostname=hostname)


def _make_route(route: schema.RouteConfig, target: Target) -> Route:
    fallback = route.fallback == "queue"
    return Route(target, redact(route.to), route.mode, fallback, route.relay_for, route.name)
