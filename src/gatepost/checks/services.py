"""The services that plugins use, such as scanners: whether they answer, and their versions.

Limits: each has TIMEOUT seconds. A service that does not answer is a warning, because it may be
started later than the server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from gatepost.log.printable import printable
from gatepost.session.setup import Setup

TIMEOUT = 5.0
LONGEST = 200


class Contacted(NamedTuple):
    """A service of a plugin: the answer about itself, or the problem with it."""

    plugin: str
    service: str
    answer: str = ""
    problem: str = ""


def contact(setup: Setup) -> list[Contacted]:
    """Ask the services of all plugins at the same time."""
    probes = [
        (one.plugin.name, service, probe)
        for one in setup.plugins.installed
        for service, probe in one.plugin.probes().items()
    ]
    return asyncio.run(_contact(probes)) if probes else []


async def _contact(
    probes: Sequence[tuple[str, str, Callable[[], Awaitable[str]]]],
) -> list[Contacted]:
    return await asyncio.gather(*(_ask(*one) for one in probes))


async def _ask(plugin: str, service: str, probe: Callable[[], Awaitable[str]]) -> Contacted:
    try:
        async with asyncio.timeout(TIMEOUT):
            answer = await probe()
    except TimeoutError:
        return Contacted(plugin, service, problem=f"no answer within {TIMEOUT:g} s")
    except Exception as error:  # noqa: BLE001 - a plugin can raise anything
        return Contacted(plugin, service, problem=_line(str(error) or type(error).__name__))
    return Contacted(plugin, service, _line(answer))


def _line(text: str) -> str:
    return printable(" ".join(text.split()))[:LONGEST]
