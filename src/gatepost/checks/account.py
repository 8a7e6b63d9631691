"""What the account that will serve may do with files, by mode bits and ownership.

Nothing is tried out: whoever checks a configuration is often somebody else than who will serve.

Limits: access lists, capabilities and file systems that are mounted read-only say nothing here.
"""

import os
import pwd
import stat
from typing import NamedTuple

from gatepost.config.schema import Config

READ, WRITE, PASS = 4, 2, 1  # the bits of one class; to pass is to enter a folder or run a file


class Account(NamedTuple):
    """A user of this system, the groups included."""

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, wanted: int, status: os.stat_result) -> bool:
        """Say whether the account has all wanted rights to what has this status."""
        if self.uid == 0:
            return wanted != PASS or stat.S_ISDIR(status.st_mode) or bool(status.st_mode & 0o111)
        if status.st_uid == self.uid:
            bits = status.st_mode >> 6
        elif status.st_gid in self.groups:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        return bits & wanted == wanted


def serving(config: Config) -> Account:
    """Return who will serve: `server.user`, or who we are; raises KeyError for a user there is not.

    Its groups are those it will have then.
    """
    if config.server.user:
        entry = pwd.getpwnam(config.server.user)
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return Account(entry.pw_name, entry.pw_uid, frozenset(groups))
    uid = os.geteuid()
    return Account(name_of(uid), uid, frozenset((os.getegid(), *os.getgroups())))


def name_of(uid: int) -> str:
    """Return a user's name, the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
