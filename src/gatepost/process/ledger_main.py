"""The ledger process: `python -m gatepost.process.ledger_main FD`, started by the supervisor.

It reads its configuration from standard input and batches of records from the socket FD, writes the
records, exports them and serves the metrics. SIGTERM makes it write what has been sent, and exit.
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

from gatepost.config.schema import Config
from gatepost.ledger.opening import open_keeper
from gatepost.ledger.store import LedgerError
from gatepost.log.logger import get_logger
from gatepost.log.setup import configure_log

# Records have no cycles: a collection for each 700 of their parts would find nothing, and take a
# tenth of the time.
_COLLECT_AFTER = 50_000

_log = get_logger("gatepost.ledger")


def main() -> int:
    """Keep records until stopped; return the exit status."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    config: Config = pickle.load(sys.stdin.buffer)  # noqa: S301 - see Security above
    configure_log(config.log)
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(sock.fileno(), False)
    try:
        keeper = open_keeper(config)
    except (LedgerError, OSError) as error:
        _log.error("ledger not usable", problem=str(error))
        return 1
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    signal.signal(signal.SIGTERM, lambda _number, _frame: keeper.stop())
    keeper.run(sock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
