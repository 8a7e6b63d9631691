"""Registered domains by the public suffix list: `a.b.example.co.uk` is within `example.co.uk`.

The list is that of the installed package `publicsuffixlist`.
"""

import asyncio
import importlib
from collections.abc import Callable
from importlib.util import find_spec

from gatepost import Address

Registered = Callable[[str], str | None]


def check_installed() -> None:
    """Raise ValueError if the package is not installed."""
    if find_spec("publicsuffixlist") is None:
        raise ValueError("it needs the package publicsuffixlist: pip install gatepost[uribl]")


async def load_registered() -> Registered:
    """Return the function that returns the registered domain of a domain, None without one."""
    return await asyncio.to_thread(_load)


def _load() -> Registered:
    package = importlib.import_module("publicsuffixlist")
    found: Registered = package.PublicSuffixList().privatesuffix
    return found


class Organisations:
    """Compares domains by their registered domains; one without is compared as it is."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered

    def is_same(self, one: str, other: str) -> bool:
        """Return whether two domains have the same registered domain."""
        return self._of(one) == self._of(other)

    def _of(self, domain: str) -> str:
        key = canonical(domain)
        return self._registered(key) or key


def canonical(domain: str) -> str:
    """Return a domain in lower case and A-labels, without a final dot."""
    return Address("", domain).key[1:] if domain else ""
