"""The rights of the account that runs the server, by mode bits and ownership.

Nothing is tried out, because the administrator who checks a configuration often uses another
account.

Limits: access lists, capabilities and read-only file systems are ignored.
"""

import os
import pwd
import stat
from typing import NamedTuple

from gatepost.config.schema import Config

# The bits of one class. PASS means to enter a folder or to run a file.
READ, WRITE, PASS = 4, 2, 1


class Account(NamedTuple):
    """A user of this system, with all groups."""

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, rights: int, status: os.stat_result) -> bool:
        """Return whether the account has all these rights to a file with this status."""
        if self.uid == 0:
            return rights != PASS or stat.S_ISDIR(status.st_mode) or bool(status.st_mode & 0o111)
        if status.st_uid == self.uid:
            bits = status.st_mode >> 6
        elif status.st_gid in self.groups:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        return bits & rights == rights


def serving(config: Config) -> Account:
    """Return the account that runs the server: `server.user`, or the current user.

    Its groups are those it has after privileges are dropped. Raises KeyError for an unknown user.
    """
    if config.server.user:
        entry = pwd.getpwnam(config.server.user)
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return Account(entry.pw_name, entry.pw_uid, frozenset(groups))
    uid = os.geteuid()
    return Account(name_of(uid), uid, frozenset((os.getegid(), *os.getgroups())))


def name_of(uid: int) -> str:
    """Return the name of a user, or the number if there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
