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

import functools
import grp
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import peers
from tools.daemon import HOST, free_port, greeting

# Accounts that every Debian has: who the mail belongs to, and who is nobody at all.
OWNER, STRANGER = "nobody", "daemon"
OVERLAY = 'mount -t overlay overlay -o lowerdir="$0":/usr /usr && exec "$@"'

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


@functools.cache
def why_not() -> str:
    """Return why Dovecot cannot be run here, "" if it can."""
    if os.geteuid():
        return "dovecot is missing: it needs root"
    if missing := peers.missing(["dovecot"]):
        return f"dovecot is missing: {missing['dovecot']}"
    try:
        done = subprocess.run(
            _argv("true"), capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        return f"dovecot is missing: {error}"
    said = done.stderr.decode(errors="replace").strip()
    return f"dovecot is missing: no overlay mount: {said}" if done.returncode else ""


@contextmanager
def running(extra: str = "") -> Iterator[Dovecot]:
    """Run Dovecot and yield it once it greets; end all of it on leaving.

    `extra` is added to its configuration, where it may replace what is there. Raises
    `peers.UnavailableError` when it cannot be had, `RuntimeError` when it does not start.
    """
    if why := why_not():
        raise peers.UnavailableError(why)
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        _lay_out(folder, port, extra)
        argv = _argv("/usr/sbin/dovecot", "-F", "-c", str(folder / "dovecot.conf"))
        with greeting(argv, _command().env, folder / "log", port):
            yield Dovecot(folder, port)


def _command() -> peers.Command:
    command = peers.find("dovecot")
    assert command is not None
    return command


def _argv(*program: str) -> list[str]:
    """Return what runs a program where Dovecot's package lies over /usr."""
    usr = Path(_command().prefix[0]).parents[1]
    return ["unshare", "--mount", "sh", "-c", OVERLAY, str(usr), *program]


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
