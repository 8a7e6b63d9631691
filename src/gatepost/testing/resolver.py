"""A DNS resolver for tests."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gatepost.net.resolver import NoSuchNameError, ResolveError


class FakeResolver:
    """A `gatepost.net.resolver.Resolver` with fixed answers.

    `mx` has (preference, host) pairs by domain, `hosts` the addresses by host. A name in neither
    does not exist. For a name in `fail` every query fails for now.
    """

    def __init__(
        self,
        mx: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        hosts: Mapping[str, Sequence[str]] | None = None,
        fail: Collection[str] = (),
    ) -> None:
        self._mx = mx or {}
        self._hosts = hosts or {}
        self._fail = fail

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        """Return the pairs of `mx` for a domain."""
        return list(self._look_up(self._mx, domain))

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses in `hosts` for a host."""
        return list(self._look_up(self._hosts, host))

    def _look_up(self, records: Mapping[str, Sequence[Any]], name: str) -> Sequence[Any]:
        if name in self._fail:
            raise ResolveError(f"{name}: no answer")
        if name not in self._mx and name not in self._hosts:
            raise NoSuchNameError(f"{name}: no such name")
        return records.get(name, ())
