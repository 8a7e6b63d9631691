"""Run a real Sendmail in a separate folder and on a separate port.

It accepts mail for `example.com` and `open.example` to the users of this machine, and keeps it in
its queue: nothing is delivered, and nothing is sent to another machine.

    with sendmail.running(SETTINGS) as mail:
        ...  # send something to daemon@example.com at 127.0.0.1, mail.port

Sendmail is unpacked by tools/peers.py, not installed. Its configuration is made by m4 from the
files of its package, in the folder.

Limits: see tools/mounts.py. Its libraries are mounted, because it is a program with set-group-ID,
which finds no others.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import mounts, peers
from tools.daemon import HOST, free_port, greeting

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "sendmail"
# Accounts that every Debian has, and therefore mailboxes of Sendmail.
USERS = ("daemon", "bin", "nobody")

# Sendmail asks for its own name before it reads its configuration: the DNS fails at once.
NO_DNS = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
NAMES = "127.0.0.1 localhost\n127.0.1.1 mail.example.com {name}\n"

CONFIG = """\
divert(0)dnl
OSTYPE(`linux')dnl
DOMAIN(`generic')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
undefine(`ALIAS_FILE')dnl
define(`confCW_FILE', `-o {folder}/none')dnl
define(`STATUS_FILE', `{folder}/status')dnl
define(`HELP_FILE', `{folder}/none')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`confDOMAIN_NAME', `mail.example.com')dnl
define(`confDELIVERY_MODE', `queueonly')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Port={port}, Addr={host}, Name=MTA')dnl
LOCAL_DOMAIN(`example.com open.example')dnl
{settings}
MAILER(`local')dnl
MAILER(`smtp')dnl
"""


@dataclass(frozen=True)
class Sendmail:
    """A Sendmail that greets on `port`; all its files are below `folder`."""

    folder: Path
    port: int

    def queued(self) -> list[bytes]:
        """Return the content of all messages that it has accepted, without their header."""
        return [file.read_bytes() for file in self.folder.glob("queue/df*")]


def why_not() -> str:
    """Return why Sendmail cannot run here, or ""."""
    return mounts.why_not(NAME)


@contextmanager
def running(settings: str = "") -> Iterator[Sendmail]:
    """Run Sendmail, yield it once it greets, and kill all its processes on exit.

    `settings` has lines for its .mc file. Raise `peers.UnavailableError` if it is not available,
    and `RuntimeError` if it does not start.
    """
    if reason := why_not():
        raise peers.UnavailableError(reason)
    root = peers.ROOT / NAME
    with tempfile.TemporaryDirectory(prefix="sendmail-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        (folder / "queue").mkdir(mode=0o700)
        (folder / "switch").write_text("hosts files\naliases files\n")
        _write_names(folder / "etc")
        config = CONFIG.format(folder=folder, host=HOST, port=port, settings=settings)
        (folder / "sendmail.cf").write_text(_compiled(config, folder, root))
        program = ("/usr/libexec/sendmail/sendmail", "-bD", f"-C{folder / 'sendmail.cf'}", "-q1h")
        argv = mounts.argv(*program, over={"/usr": root / "usr", "/etc": folder / "etc"})
        with greeting(argv, dict(os.environ), folder / "log", port):
            yield Sendmail(folder, port)


def _write_names(etc: Path) -> None:
    """Write files that give this host a name with a domain; without one Sendmail waits a minute."""
    etc.mkdir()
    (etc / "resolv.conf").write_text(NO_DNS)
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    (etc / "hosts").write_text(NAMES.format(name=socket.gethostname()))


def _compiled(config: str, folder: Path, root: Path) -> str:
    """Return sendmail.cf for a .mc file."""
    (folder / "sendmail.mc").write_text(config)
    cf = root / "usr/share/sendmail/cf"
    argv = [
        *(str(root / "usr/bin/m4"), f"-D_CF_DIR_={cf}/", str(cf / "m4/cf.m4")),
        str(folder / "sendmail.mc"),
    ]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
