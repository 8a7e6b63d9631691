"""The load with a full policy as a scenario of `python -m bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.policy import dkim
from bench.policy.measure import LOADS, SERVERS, Plan, measure, smaller
from bench.policy.tables import cost_table, missed, proof_table

if TYPE_CHECKING:
    from bench.run import Bench


def measure_policy(bench: Bench) -> None:
    """Measure the selected servers, and the verification of DKIM alone."""
    loads = smaller(LOADS) if bench.quick else LOADS
    with bench.attempt("policy"):
        costs, found = measure(Plan(bench.among(SERVERS), loads, bench.rounds, bench.attempt))
        bench.tables += [cost_table(costs), proof_table(found)]
        bench.problems += missed(found)
    with bench.attempt("policy: dkim"):
        bench.tables.append(dkim.table())
