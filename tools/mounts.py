"""Run an unpacked program where it was compiled to be, in a mount namespace of its own.

tools/peers.py unpacks packages below a folder; some programs look for their parts, their accounts
and their spool where Debian has them. So folders of ours lie over those of the system, or stand
in their place, for the program and what it starts; nobody else sees that:

    exim = mounts.unpacked("exim")
    over = {"/usr": exim.folder / "usr", "/etc": etc}
    subprocess.run(mounts.argv("/usr/sbin/exim4", "-bV", over=over), env=exim.env)

Limits: needs root, `unshare` and overlay mounts (see `why_not`). What lies over a folder of the
system cannot be written to; what stands in its place can. No path may have a colon or a comma.
"""

from __future__ import annotations

import functools
import os
import pwd
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tools import peers

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True)
class Unpacked:
    """A package's own root folder, and the environment its programs need."""

    folder: Path
    env: dict[str, str]


def unpacked(name: str) -> Unpacked:
    """Return a package of tools/peers.py whose program is in its usr/sbin.

    Raises `peers.UnavailableError` when it cannot be had or cannot be run like this.
    """
    command = peers.find(name)
    if command is None or why_not(name):
        raise peers.UnavailableError(why_not(name))
    return Unpacked(Path(command.prefix[0]).parents[2], command.env)


def argv(
    *program: str, over: Mapping[str, Path], instead: Mapping[str, Path] = NOTHING
) -> list[str]:
    """Return what runs a program for which our folders are where the system has its own.

    `over` and `instead` have the system's folders as keys: what is in ours hides what has the same
    name there, or all that is there.
    """
    steps = [
        f"mount -t overlay overlay -o lowerdir={shlex.quote(f'{ours}:{place}')} {place}"
        for place, ours in over.items()
    ]
    steps += [f"mount --bind {shlex.quote(str(ours))} {place}" for place, ours in instead.items()]
    return ["unshare", "--mount", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *program]


@functools.cache
def why_not(name: str) -> str:
    """Return why a program that tools/peers.py knows cannot be run like this, "" if it can."""
    if os.geteuid():
        return f"{name} is missing: it needs root"
    if missing := peers.missing([name]):
        return f"{name} is missing: {missing[name]}"
    try:
        done = subprocess.run(
            argv("true", over={"/usr": peers.ROOT}),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        return f"{name} is missing: {error}"
    said = done.stderr.decode(errors="replace").strip()
    return f"{name} is missing: no overlay mount: {said}" if done.returncode else ""


def write_accounts(etc: Path, accounts: Mapping[str, str]) -> None:
    """Write passwd and group of the system into a folder, with accounts added.

    Each is a second name of one that is there, and of its group.
    """
    users, groups = (Path(f"/etc/{name}").read_text() for name in ("passwd", "group"))
    for name, other in accounts.items():
        entry = pwd.getpwnam(other)
        users += f"{name}:x:{entry.pw_uid}:{entry.pw_gid}::/:/bin/false\n"
        groups += f"{name}:x:{entry.pw_gid}:\n"
    (etc / "passwd").write_text(users)
    (etc / "group").write_text(groups)
