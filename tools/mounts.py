"""Run an unpacked program at its compiled-in paths, in a private mount namespace.

tools/peers.py unpacks packages below a folder, but some programs look for their files, accounts and
spool where Debian has them. For the program and its child processes, our folders are mounted over
those of the system or replace them. Other processes do not see these mounts:

    exim = mounts.unpacked("exim")
    over = {"/usr": exim.folder / "usr", "/etc": etc}
    subprocess.run(mounts.argv("/usr/sbin/exim4", "-bV", over=over), env=exim.env)

Limits: needs root, `unshare` and overlay mounts (see `why_not`). A folder mounted over one of the
system is read-only; one that replaces it is not. No path may have a colon or a comma.
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
    """The root folder of a package, and the environment that its programs need."""

    folder: Path
    env: dict[str, str]


def unpacked(name: str) -> Unpacked:
    """Return a package of tools/peers.py that has its program in usr/sbin.

    Raise `peers.UnavailableError` if it is not available or cannot run like this.
    """
    command = peers.find(name)
    if command is None or why_not(name):
        raise peers.UnavailableError(why_not(name))
    return Unpacked(Path(command.prefix[0]).parents[2], command.env)


def argv(
    *program: str, over: Mapping[str, Path], instead: Mapping[str, Path] = NOTHING
) -> list[str]:
    """Return the command that runs a program with our folders in place of the system's.

    `over` and `instead` map folders of the system to ours. With `over`, our files hide files of the
    same name. With `instead`, they hide everything in the folder.
    """
    steps = [
        f"mount -t overlay overlay -o lowerdir={shlex.quote(f'{ours}:{place}')} {place}"
        for place, ours in over.items()
    ]
    steps += [f"mount --bind {shlex.quote(str(ours))} {place}" for place, ours in instead.items()]
    return ["unshare", "--mount", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *program]


@functools.cache
def why_not(name: str) -> str:
    """Return why a program of tools/peers.py cannot run like this, or ""."""
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
    output = done.stderr.decode(errors="replace").strip()
    return f"{name} is missing: no overlay mount: {output}" if done.returncode else ""


def write_accounts(etc: Path, accounts: Mapping[str, str]) -> None:
    """Write passwd and group of the system into a folder, with accounts added.

    Each added account is a second name of an existing account and its group.
    """
    users, groups = (Path(f"/etc/{name}").read_text() for name in ("passwd", "group"))
    for name, other in accounts.items():
        entry = pwd.getpwnam(other)
        users += f"{name}:x:{entry.pw_uid}:{entry.pw_gid}::/:/bin/false\n"
        groups += f"{name}:x:{entry.pw_gid}:\n"
    (etc / "passwd").write_text(users)
    (etc / "group").write_text(groups)
