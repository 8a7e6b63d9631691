"""All scenarios, by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.durable import measure_durable
from bench.idle import measure_idle
from bench.messages import measure_messages, message_table
from bench.milter import measure_milter
from bench.policy.scenario import measure_policy
from bench.relay import measure_relay
from bench.run import LOADS
from bench.start import measure_start
from bench.tls import TLS_LOADS, measure_tls, tls_table
from bench.trap_rules import measure_trap_rules
from bench.traps import measure_traps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.run import Bench

SCENARIOS: dict[str, Callable[[Bench], None]] = {
    **{name: partial(measure_messages, scenario=name) for name in LOADS},
    **{name: partial(measure_tls, scenario=name) for name in TLS_LOADS},
    "idle": measure_idle,
    "start": measure_start,
    "traps": measure_traps,
    "trap-rules": measure_trap_rules,
    "durable": measure_durable,
    "relay": measure_relay,
    "milter": measure_milter,
    "policy": measure_policy,
}


def run(bench: Bench, only: Sequence[str]) -> None:
    """Run the selected scenarios and add their tables to the bench."""
    for name in only:
        SCENARIOS[name](bench)
    if any(bench.tls_costs.values()):
        bench.tables.insert(0, tls_table(bench.tls_costs))
    if any(bench.costs.values()):
        bench.tables.insert(0, message_table(bench.costs))
