"""The health of a running server, for the HTTP server in the ledger process."""

import time
from pathlib import Path

from gatepost.metrics.counting import Counting
from gatepost.metrics.health import Health
from gatepost.metrics.report import report_of
from gatepost.process.state import is_running, read_state


def current_health(folder: Path, counting: Counting) -> Health:
    """Return the health of the server with this data folder.

    It does not raise: a file that cannot be read is a server that is not ready.
    """
    try:
        live = is_running(folder)
    except OSError:
        live = False
    state = read_state(folder) if live else None
    if state is None:
        return Health(live=live, ready=False)
    ready = [one.pid for one in state.workers if one.ready]
    reload, result = state.reload, ""
    if reload is not None:
        result = "; ".join(reload.problems) or "ok"
    return Health(
        live=True,
        ready=bool(ready) and not state.stopping,
        since=state.since,
        version=state.version,
        workers=ready,
        reload=result,
        reloaded=0.0 if reload is None else reload.time,
        warnings=report_of(counting, time.time()).warnings,
    )
