"""From what the configuration says to targets and routes: `maildir:PATH`, `discard:`.

A new kind of target is a line in TARGETS.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gatepost.delivery.discard import Discard
from gatepost.delivery.maildir import Maildir
from gatepost.delivery.routes import Router
from gatepost.delivery.target import Target


def _maildir(rest: str, base: Path, hostname: str) -> Target:
    return Maildir(rest, base=base, hostname=hostname)


def _discard(rest: str, base: Path, hostname: str) -> Target:  # noqa: ARG001 - one shape for all
    if rest:
        raise ValueError(f"expected nothing after the colon, found {rest!r}")
    return Discard()


TARGETS: dict[str, Callable[[str, Path, str], Target]] = {
    "maildir": _maildir,
    "discard": _discard,
}
NOT_AVAILABLE_YET = frozenset({"lmtp", "smtp", "pipe"})


def make_target(url: str, *, base: Path, hostname: str) -> Target:
    """Return the target that `url` (scheme, colon, the rest) names; touches no disk.

    Relative paths start at the folder `base`; `hostname` is the server's name. Raises ValueError.
    """
    scheme, colon, rest = url.partition(":")
    if colon and scheme in NOT_AVAILABLE_YET:
        raise ValueError(f"target {url!r}: {scheme}: is not available yet")
    if not colon or scheme not in TARGETS:
        known = " or ".join(f"{name}:" for name in TARGETS)
        raise ValueError(f"expected a target that starts with {known}, found {url!r}")
    try:
        return TARGETS[scheme](rest, base, hostname)
    except ValueError as error:
        raise ValueError(f"target {url!r}: {error}") from error


def make_router(
    routes: Iterable[tuple[Sequence[str], str]], *, base: Path, hostname: str
) -> Router:
    """Return the router for pairs of patterns and a target's URL; raises ValueError.

    Routes with the same URL share one target, so a message for both is delivered once.
    """
    targets: dict[str, Target] = {}

    def target(url: str) -> Target:
        if url not in targets:
            targets[url] = make_target(url, base=base, hostname=hostname)
        return targets[url]

    return Router([(patterns, target(url)) for patterns, url in routes], hostname=hostname)
