"""Dropping privileges permanently.

Security: the order is supplementary groups, group, user. In any other order the right to change the
rest would be lost, or a privilege would be kept. Real, effective and saved ids all change, so
nothing can restore them.
"""

import os
import pwd


class PrivilegesError(Exception):
    """The user cannot be changed; the message is the reason."""


def become(user: str) -> None:
    """Run as the named user from now on; "" changes nothing. Raises `PrivilegesError`."""
    if not user:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise PrivilegesError(
            f'server.user: expected a user of this system, found "{user}"'
        ) from error
    if entry.pw_uid == os.getuid() == os.geteuid():
        return
    try:
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except OSError as error:
        raise PrivilegesError(
            f'server.user: cannot become "{user}", expected to be started as root or as that user:'
            f" {error.strerror}"
        ) from error
