"""Becoming another user, for good.

Security: supplementary groups first, then the group, then the user: in any other order the right
to change the rest would be gone, or kept. Real, effective and saved ids all change, so there is no
way back.
"""

import os
import pwd


class PrivilegesError(Exception):
    """The user cannot be changed; the message says why."""


def become(user: str) -> None:
    """Be the named user from now on; "" changes nothing. Raises `PrivilegesError`."""
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
