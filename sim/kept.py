"""Results of runs in a folder, so that a later call does not play them again.

A file is named by its run: the table and row, and a hash of everything that decides the result
except the code. After a change of the code, delete the folder.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sim.experiments import Job
    from sim.metrics import Metrics


def path_of(folder: Path, job: Job) -> Path:
    """Return the file of a run."""
    plan = job.plan
    actors = [actor.__name__ for actor in plan.actors]
    facts = actors, plan.size, plan.extent, plan.values.changes, job.settings, job.seed
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    name = re.sub(r"[^a-z0-9]+", "-", f"{job.table} {job.row} {job.seed}".lower()).strip("-")
    return folder / f"{name}-{digest}.pickle"


def load(path: Path) -> Metrics | None:
    """Return the result of a run, None if there is none. The file must be one of this program."""
    if not path.exists():
        return None
    found: Metrics = pickle.loads(path.read_bytes())
    return found


def save(path: Path, metrics: Metrics) -> None:
    """Write the result of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(pickle.dumps(metrics))
    temporary.replace(path)
