"""Answers to the questions of a check: from the records of a zone, or from the DNS."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from gatepost.config.schema import Config
from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.net.ask import ask
from gatepost.net.questions import Answer, Check, Question
from gatepost.session.assemble import make_resolver

T = TypeVar("T")
Trace = Callable[[Question, Answer], Any]

MAX_ZONE = 16 * 1024 * 1024


class Answering(Protocol):
    """Runs a check to its end."""

    def __call__(self, check: Check[T], trace: Trace | None = None) -> T:
        """Return the result of a check; `trace` is called with each question and its answer."""


def from_zone(zone: Zone) -> Answering:
    """Return what answers from the records of a zone."""

    def run(check: Check[T], trace: Trace | None = None) -> T:
        return ask_zone(check, zone, trace)

    return run


@contextmanager
def from_dns(config: Config) -> Iterator[Answering]:
    """Yield what answers from the name servers of `[dns]`."""
    with asyncio.Runner() as runner:
        resolver = make_resolver(config)

        def run(check: Check[T], trace: Trace | None = None) -> T:
            return runner.run(ask(check, resolver, trace))

        try:
            yield run
        finally:
            runner.run(resolver.close())


def read_zone(path: Path) -> Zone:
    """Return the zone in a JSON file; raises OSError, and ValueError for a malformed one."""
    with path.open("rb") as file:
        text = file.read(MAX_ZONE + 1)
    if len(text) > MAX_ZONE:
        raise ValueError(f"expected at most {MAX_ZONE} octets")
    try:
        return Zone(msgspec.json.decode(text))
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
