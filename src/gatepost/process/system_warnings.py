"""Warnings in the log about the account, the files and the limits that the server runs with.

`gatepost check` has the same warnings, but may run with another account and other limits.
"""

import os
from pathlib import Path

from gatepost.config.schema import Config
from gatepost.log.logger import get_logger
from gatepost.process.insecure_files import insecure_files
from gatepost.process.open_files import needed_files, raise_file_limit

_log = get_logger("gatepost.supervisor")


def log_system_warnings(config: Config, file: Path) -> None:
    """Log what is insecure or too small, after privileges were dropped."""
    uid = os.geteuid()
    if uid == 0:
        _log.warning("running as root")
    for found in insecure_files(config, file, uid):
        _log.warning("configuration insecure", path=str(found.changeable), problem=str(found))
    needed = needed_files(config)
    limit = raise_file_limit(needed)
    if limit < needed:
        _log.warning("open files limit too low", limit=limit, needed=needed)
