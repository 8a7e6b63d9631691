"""Run a real Dovecot as an LMTP server, independent of the system's mail set-up.

It accepts mail for any address on a loopback port and stores it in Maildirs. `mails` reads them:

    with dovecot.running() as store:
        ...  # LMTP to 127.0.0.1, store.port
        (message,) = store.mails("someone@example.com")

Dovecot looks for its files at compiled-in paths. tools/peers.py unpacks it elsewhere, so it runs in
a private mount namespace with its package mounted over /usr.

Limits: needs root, `unshare` and overlay mounts (`UnavailableError`). It uses a separate folder and
not one of pytest's, because the account that owns the mail cannot enter those.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import mounts
from tools.daemon import HOST, free_port, greeting

# Accounts that every Debian has: the owner of the mail, and one without rights.
OWNER, UNPRIVILEGED = "nobody", "daemon"

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
import_environment = LD_LIBRARY_PATH
default_internal_user = {owner}
default_internal_group = {group}
default_login_user = {unprivileged}
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
# Instead of the last part, for users in the file `users`: NAME:PASSWORD:UID:GID::HOME.
USERS_FILE = """\
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A Dovecot that speaks LMTP on `port`; all its files are below `folder`."""

    folder: Path
    port: int

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails of one recipient; lines end with LF."""
        local, _, domain = recipient.partition("@")
        return [file.read_bytes() for file in self.folder.glob(f"mail/{domain}/{local}/new/*")]

    def log(self) -> str:
        """Return its log so far."""
        return (self.folder / "log").read_text(errors="replace")

    def doveadm(self, *words: str) -> list[dict[str, str]]:
        """Run doveadm and return the rows of its table; raise CalledProcessError if it fails."""
        package = mounts.unpacked("dovecot")
        program = ["/usr/bin/doveadm", "-c", str(self.folder / "dovecot.conf"), "-f", "tab"]
        argv = mounts.argv(*program, *words, over={"/usr": package.folder / "usr"})
        done = subprocess.run(argv, env=package.env, stdout=subprocess.PIPE, text=True, check=True)
        head, *rows = [line.split("\t") for line in done.stdout.splitlines()] or [[]]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def own(self) -> None:
        """Give all mail to the account that Dovecot uses."""
        for path in (self.folder / "mail").rglob("*"):
            shutil.chown(path, OWNER)


def why_not() -> str:
    """Return why Dovecot cannot run here, or ""."""
    return mounts.why_not("dovecot")


@contextmanager
def running(extra: str = "", users: Sequence[str] | None = None) -> Iterator[Dovecot]:
    """Run Dovecot, yield it once it greets, and kill all its processes on exit.

    `extra` is added to its configuration and may override it. With `users`, only these exist; they
    are in the file `users` of its folder. Raise `peers.UnavailableError` if it
    is not available, and `RuntimeError` if it does not start.
    """
    package = mounts.unpacked("dovecot")
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        _lay_out(folder, port, extra, users)
        program = ["/usr/sbin/dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        argv = mounts.argv(*program, over={"/usr": package.folder / "usr"})
        with greeting(argv, package.env, folder / "log", port):
            yield Dovecot(folder, port)


def _lay_out(folder: Path, port: int, extra: str, users: Sequence[str] | None) -> None:
    owner = pwd.getpwnam(OWNER)
    folder.chmod(0o755)
    (folder / "mail").mkdir()
    os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    group = grp.getgrgid(owner.pw_gid).gr_name
    template = CONFIG
    if users is not None:
        template = CONFIG[: CONFIG.index("userdb {{")] + USERS_FILE
        lines = [f"{name}:x:{owner.pw_uid}:{owner.pw_gid}::{folder}/mail\n" for name in users]
        (folder / "users").write_text("".join(lines))
    config = template.format(
        folder=folder, port=port, host=HOST, owner=OWNER, group=group, unprivileged=UNPRIVILEGED
    )
    (folder / "dovecot.conf").write_text(config + extra)
