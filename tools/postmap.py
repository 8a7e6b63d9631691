"""Run Postfix's postmap: make tables in files, and look keys up in tables.

    with postmap.configured() as tool:
        tool.make("lmdb", path)               # writes path.lmdb
        tool.query(f"texthash:{path}", "kim@example.com")

Postfix is unpacked by tools/peers.py, not installed. Its configuration is in a separate folder.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import peers, postfix

if TYPE_CHECKING:
    from collections.abc import Iterator

DYNAMIC = """\
lmdb postfix-lmdb.so dict_lmdb_open mkmap_lmdb_open
cdb postfix-cdb.so dict_cdb_open mkmap_cdb_open
"""


def why_not() -> str:
    """Return why postmap cannot run here, or ""."""
    return "".join(f"{name} is missing: {why}" for name, why in peers.missing(["postmap"]).items())


@dataclass(frozen=True)
class Postmap:
    """The command with a configuration."""

    command: peers.Command
    folder: Path

    def make(self, kind: str, source: Path) -> None:
        """Make a table of type `lmdb` or `cdb` from its source, next to it."""
        self._run(f"{kind}:{source}").check_returncode()

    def query(self, table: str, key: str) -> str | None:
        """Return the value of a key, None without one; raise RuntimeError if postmap fails."""
        done = self._run("-q", key, table)
        if done.returncode and "fatal: " in done.stderr:
            raise RuntimeError(done.stderr)
        return None if done.returncode else done.stdout.removesuffix("\n")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = self.command.argv("-c", self.folder, *arguments)
        env = self.command.env
        return subprocess.run(
            argv, env=env, capture_output=True, text=True, timeout=60, check=False
        )


@contextlib.contextmanager
def configured() -> Iterator[Postmap]:
    """Yield the command; raise `peers.UnavailableError` if it is not available."""
    command = peers.find("postmap")
    if command is None:
        raise peers.UnavailableError(why_not())
    programs = Path(command.prefix[0]).parents[2] / "usr/lib/postfix"
    with tempfile.TemporaryDirectory(prefix="postmap-") as name:
        folder = Path(name)
        lines = {
            "compatibility_level": "3.6",
            # Accounts that every Debian has.
            "mail_owner": postfix.OWNER,
            "default_privs": postfix.DELIVERER,
            "setgid_group": postfix.DROP_GROUP,
            "meta_directory": folder,
            "shlib_directory": programs,
            "myhostname": "mail.example.com",
            "queue_directory": folder,
        }
        (folder / "main.cf").write_text("".join(f"{key} = {one}\n" for key, one in lines.items()))
        (folder / "dynamicmaps.cf").write_text(DYNAMIC)
        yield Postmap(command, folder)
