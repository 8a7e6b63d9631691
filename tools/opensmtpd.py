"""Run a real OpenSMTPD beside whatever the machine has, in a folder and on a port of its own.

It takes mail for `example.com` and `open.example`, which it delivers into Maildirs, where
`delivered` and `mails` read it; nothing ever leaves for another machine:

    with opensmtpd.running(refused=["bob@example.com"]) as mail:
        ...  # send something to 127.0.0.1, mail.port
        (message,) = eventually(lambda: mail.mails("someone@example.com"))

OpenSMTPD is compiled for two accounts of its own, a spool, a socket and an empty folder to be
locked up in. tools/peers.py unpacks it without making any, so tools/mounts.py puts them where it
looks for them: accounts that every Debian has stand in.

Limits: see tools/mounts.py. There is no TLS: Debian's OpenSMTPD 6.8 fails every handshake with
OpenSSL 3. The folder is its own and not one of pytest's, where OpenSMTPD's accounts may not go.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import mounts
from tools.daemon import HOST, free_port, greeting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Its accounts, compiled in, and those that every Debian has that they are other names of.
ACCOUNTS = {"opensmtpd": "daemon", "opensmtpq": "bin"}
DELIVERER = "nobody"
NEVER_ASKED = "nobody@refused.invalid"  # a table cannot be empty

CONFIG = """\
{extra}
table ours {{ "example.com", "open.example" }}
table refused {{ {refused} }}
listen on {host} port {port} hostname mail.example.com
action "keep" maildir "{folder}/mail/%{{rcpt}}" virtual {{ "@" = "{deliverer}" }}
match from any for any rcpt-to <refused> reject
match from any for domain <ours> action "keep"
"""


@dataclass(frozen=True)
class OpenSMTPD:
    """An OpenSMTPD that greets on `port`; all it has is below `folder`."""

    folder: Path
    port: int

    def delivered(self) -> list[bytes]:
        """Return the content of all mails, in no certain order, as `mails` does."""
        return [file.read_bytes() for file in self.folder.glob("mail/*/new/*")]

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails that one recipient got.

        In front of what was received are the fields that OpenSMTPD adds, Received among them; the
        lines end with LF. It completes a header that has no Date or no Message-ID.
        """
        return [file.read_bytes() for file in self.folder.glob(f"mail/{recipient}/new/*")]

    def is_idle(self) -> bool:
        """Say whether everything that it has taken is delivered."""
        return not any(file.is_file() for file in self.folder.glob("spool/smtpd/queue/**/*"))

    def log(self) -> str:
        """Return what it has logged so far."""
        return (self.folder / "log").read_text(errors="replace")


def why_not() -> str:
    """Return why OpenSMTPD cannot be run here, "" if it can."""
    return mounts.why_not("opensmtpd")


@contextmanager
def running(extra: str = "", refused: Sequence[str] = ()) -> Iterator[OpenSMTPD]:
    """Run OpenSMTPD and yield it once it greets; end all of it on leaving.

    `extra` has lines to begin its configuration with; the addresses in `refused` it refuses at
    RCPT. Raises `peers.UnavailableError` when it cannot be had, `RuntimeError` when it does not
    start.
    """
    package = mounts.unpacked("opensmtpd")
    with tempfile.TemporaryDirectory(prefix="opensmtpd-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        _lay_out(folder)
        config = CONFIG.format(
            folder=folder,
            host=HOST,
            port=port,
            extra=extra,
            refused=", ".join(f'"{address}"' for address in (*refused, NEVER_ASKED)),
            deliverer=DELIVERER,
        )
        (folder / "smtpd.conf").write_text(config)
        argv = mounts.argv(
            *("/usr/sbin/smtpd", "-d", "-f", str(folder / "smtpd.conf")),
            over={"/usr": package.folder / "usr", "/etc": folder / "etc"},
            instead={
                "/run": folder / "run",
                "/var/spool": folder / "spool",
                "/var/lib": folder / "lib",
            },
        )
        with greeting(argv, package.env, folder / "log", port):
            yield OpenSMTPD(folder, port)


def _lay_out(folder: Path) -> None:
    folder.chmod(0o755)
    for name in ("etc", "run", "spool", "lib/opensmtpd/empty", "mail"):
        (folder / name).mkdir(parents=True)
    (folder / "spool/smtpd").mkdir(mode=0o711)
    os.chown(folder / "mail", pwd.getpwnam(DELIVERER).pw_uid, -1)
    mounts.write_accounts(folder / "etc", ACCOUNTS)
