"""Run a real Dovecot as an LMTP server, beside whatever the machine has.

It takes mail for any address on a loopback port and keeps it in Maildirs, where `mails` reads it:

    with dovecot.running() as store:
        ...  # LMTP to 127.0.0.1, store.port
        (message,) = store.mails("someone@example.com")

Dovecot looks for its parts where it was compiled to be. tools/peers.py unpacks it elsewhere, so it
is run in a mount namespace of its own, in which its package lies over /usr; nobody else sees that.

Limits: needs root, `unshare` and overlay mounts (`UnavailableError`). The folder is its own and not
one of pytest's, where the account that mail belongs to may not go.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import mounts
from tools.daemon import HOST, free_port, greeting

# Accounts that every Debian has: who the mail belongs to, and who is nobody at all.
OWNER, STRANGER = "nobody", "daemon"

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
import_environment = LD_LIBRARY_PATH
default_internal_user = {owner}
default_internal_group = {group}
default_login_user = {stranger}
first_valid_uid = 1
hostname = store.example.com
protocols = lmtp
ssl = no
mail_location = maildir:~/
service lmtp {{
  inet_listener lmtp {{
    address = {host}
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={folder}/mail/%d/%n allow_all_users=yes
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A Dovecot that speaks LMTP on `port`; all it has is below `folder`."""

    folder: Path
    port: int

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails that one recipient got; the lines end with LF."""
        local, _, domain = recipient.partition("@")
        return [file.read_bytes() for file in self.folder.glob(f"mail/{domain}/{local}/new/*")]

    def log(self) -> str:
        """Return what it has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    def doveadm(self, *words: str) -> list[dict[str, str]]:
        """Run Dovecot's own tool; return the rows of its table. Raises CalledProcessError."""
        package = mounts.unpacked("dovecot")
        program = ["/usr/bin/doveadm", "-c", str(self.folder / "dovecot.conf"), "-f", "tab"]
        argv = mounts.argv(*program, *words, over={"/usr": package.folder / "usr"})
        done = subprocess.run(argv, env=package.env, stdout=subprocess.PIPE, text=True, check=True)
        head, *rows = [line.split("\t") for line in done.stdout.splitlines()] or [[]]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def own(self) -> None:
        """Give all mail to whom Dovecot has it belong to, wherever it is from."""
        for path in (self.folder / "mail").rglob("*"):
            shutil.chown(path, OWNER)


def why_not() -> str:
    """Return why Dovecot cannot be run here, "" if it can."""
    return mounts.why_not("dovecot")


@contextmanager
def running(extra: str = "") -> Iterator[Dovecot]:
    """Run Dovecot and yield it once it greets; end all of it on leaving.

    `extra` is added to its configuration, where it may replace what is there. Raises
    `peers.UnavailableError` when it cannot be had, `RuntimeError` when it does not start.
    """
    package = mounts.unpacked("dovecot")
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        _lay_out(folder, port, extra)
        program = ["/usr/sbin/dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        argv = mounts.argv(*program, over={"/usr": package.folder / "usr"})
        with greeting(argv, package.env, folder / "log", port):
            yield Dovecot(folder, port)


def _lay_out(folder: Path, port: int, extra: str) -> None:
    owner = pwd.getpwnam(OWNER)
    folder.chmod(0o755)
    (folder / "mail").mkdir()
    os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    group = grp.getgrgid(owner.pw_gid).gr_name
    config = CONFIG.format(
        folder=folder, port=port, host=HOST, owner=OWNER, group=group, stranger=STRANGER
    )
    (folder / "dovecot.conf").write_text(config + extra)
