"""A shipped plugin without a rule that no option switches off, for an ablation."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from gatepost import Transaction
from gatepost.plugins.trap_memory import TrapMemory
from gatepost.traps.shared import SeenDomain


class WithoutSharedNetworks(TrapMemory):
    """The memory of trap hits, for which no network is shared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.name = "trap_memory"

    def _is_shared(
        self,
        _tx: Transaction,
        _address: IPv4Address | IPv6Address,
        _seen: Mapping[str, SeenDomain],
        _now: float,
    ) -> bool:
        return False
