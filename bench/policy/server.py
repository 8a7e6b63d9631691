"""Values about a server with a full policy: its needs, its processes and its findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Need:
    """An empty folder, and the port of the resolver."""

    folder: Path
    dns: int


@dataclass(frozen=True)
class Server:
    """A server that accepts mail on a port.

    `parts` are its programs and the process at the top of each. `found` returns how many messages
    have passed each check, or for "dnsbl" how often a list was asked with an answer. `is_idle` is
    whether every message has been delivered.
    """

    name: str
    port: int
    parts: Mapping[str, int]
    found: Callable[[], Mapping[str, int]]
    is_idle: Callable[[], bool] = field(default=lambda: True)
