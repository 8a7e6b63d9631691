"""The ledger process, started by the supervisor (`gatepost.process.start`).

It is a fork that calls `run`, or `python -m gatepost.process.ledger_main FD` with its configuration
on standard input. It reads batches of records from the socket FD, writes the records, exports them
and serves the metrics. SIGTERM makes it write what has been sent, and exit.
It does the same when all senders are closed: the supervisor and the workers have exited. SIGINT and
SIGHUP are ignored, because a terminal sends them to the whole process group.

Security: the configuration is a pickle, which can run code. It comes from the file that the
supervisor opened.
"""

import faulthandler
import gc
import os
import pickle
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gatepost.config.schema import Config
from gatepost.ledger.store import LedgerError
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_log
from gatepost.metrics.counting import Counting
from gatepost.process.health import current_health
from gatepost.process.name import LEDGER, name_process
from gatepost.server.ledger_opening import open_keeper

# Records have no cycles: a collection for each 700 of their parts would find nothing, and take a
# tenth of the time.
_COLLECT_AFTER = 50_000

_log = get_logger("gatepost.ledger")


def main() -> int:
    """Keep records with the configuration on standard input; return the exit status."""
    return run(pickle.load(sys.stdin.buffer), int(sys.argv[1]))  # noqa: S301 - see Security above


def run(config: Config, descriptor: int) -> int:
    """Keep records until stopped; return the exit status."""
    name_process(LEDGER)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    configure_log(config.log, config.log_file)
    sock = socket.socket(fileno=descriptor)
    os.set_inheritable(sock.fileno(), False)
    counting = Counting()
    try:
        keeper = open_keeper(config, counting, counts=bool(config.metrics.listen))
    except (LedgerError, OSError) as error:
        _log.error("ledger not usable", problem=str(error))
        return 1
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    signal.signal(signal.SIGTERM, lambda _number, _frame: keeper.stop())
    with _serving(config, counting):
        keeper.run(sock)
    return 0


@contextmanager
def _serving(config: Config, counting: Counting) -> Iterator[None]:
    """Serve the metrics and the health meanwhile, if they are configured."""
    if not config.metrics.listen:
        yield
        return
    # The library for the exposition takes time to import.
    from gatepost.metrics.http import serve_metrics  # noqa: PLC0415

    try:
        server = serve_metrics(
            config.metrics.listen, counting, lambda: current_health(config.data_dir, counting)
        )
    except OSError as error:
        address, problem = config.metrics.listen, describe_os_error(error)
        _log.error("metrics not served", address=address, problem=problem)
        yield
        return
    _log.info("metrics served", address=str(server.address))
    try:
        yield
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
