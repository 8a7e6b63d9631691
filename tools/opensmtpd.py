"""Run a real OpenSMTPD in a separate folder and on a separate port.

It accepts mail for `example.com` and `open.example` and delivers it into Maildirs. `delivered` and
`mails` read it. Nothing is sent to another machine:

    with opensmtpd.running(refused=["bob@example.com"]) as mail:
        ...  # send something to 127.0.0.1, mail.port
        (message,) = eventually(lambda: mail.mails("someone@example.com"))

OpenSMTPD has two accounts, a spool, a socket and an empty chroot folder compiled in. tools/peers.py
unpacks it without creating them, so tools/mounts.py puts them at the compiled-in paths and uses
accounts that every Debian has.

Limits: see tools/mounts.py. There is no TLS: Debian's OpenSMTPD 6.8 fails every handshake with
OpenSSL 3. It uses a separate folder and not one of pytest's, because its accounts cannot enter
those.
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

# The compiled-in accounts, and those of every Debian that get these names too.
ACCOUNTS = {"opensmtpd": "daemon", "opensmtpq": "bin"}
DELIVERER = "nobody"
NEVER_USED = "none@refused.invalid"  # a table cannot be empty

CONFIG = """\
{extra}
table ours {{ "example.com", "open.example" }}
table refused {{ {refused} }}
listen on {host} port {port} hostname mail.example.com {options}
action "keep" maildir "{folder}/mail/%{{rcpt}}" virtual {{ "@" = "{deliverer}" }}
match from any for any rcpt-to <refused> reject
match from any for domain <ours> action "keep"
"""


@dataclass(frozen=True)
class OpenSMTPD:
    """An OpenSMTPD that greets on `port`; all its files are below `folder`."""

    folder: Path
    port: int

    def delivered(self) -> list[bytes]:
        """Return the content of all mails, in any order, as `mails` does."""
        return [file.read_bytes() for file in self.folder.glob("mail/*/new/*")]

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails of one recipient.

        OpenSMTPD adds header fields in front, Received among them, and a missing Date or
        Message-ID. Lines end with LF.
        """
        return [file.read_bytes() for file in self.folder.glob(f"mail/{recipient}/new/*")]

    def is_idle(self) -> bool:
        """Return whether every accepted message is delivered."""
        return not any(file.is_file() for file in self.folder.glob("spool/smtpd/queue/**/*"))

    def log(self) -> str:
        """Return its log so far."""
        return (self.folder / "log").read_text(errors="replace")


def why_not() -> str:
    """Return why OpenSMTPD cannot run here, or ""."""
    return mounts.why_not("opensmtpd")


@contextmanager
def running(
    extra: str = "", refused: Sequence[str] = (), *, options: str = ""
) -> Iterator[OpenSMTPD]:
    """Run OpenSMTPD, yield it once it greets, and kill all its processes on exit.

    `extra` has the first lines of its configuration, `options` those of its listener. It refuses
    the addresses in `refused` at RCPT. Raise `peers.UnavailableError` if it is not available, and
    `RuntimeError` if it does not start.
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
            options=options,
            refused=", ".join(f'"{address}"' for address in (*refused, NEVER_USED)),
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
