"""Run a real Exim beside whatever the machine has, in a folder and on a port of its own.

It takes mail for `example.com` and `open.example`, for which it delivers into a Maildir, where
`delivered` and `mails` read it; nothing ever leaves for another machine:

    with exim.running(refused=["bob@example.com"]) as mail:
        ...  # send something to 127.0.0.1, mail.port
        (message,) = eventually(lambda: mail.mails("someone@example.com"))

Exim is compiled for an account of its own and for one configuration file; with any other it gives
up the privileges that it delivers with. tools/peers.py unpacks it without making the account, so
tools/mounts.py puts both where it looks for them: accounts that every Debian has stand in.

Limits: see tools/mounts.py. The folder is its own and not one of pytest's, where Exim's accounts
may not go.
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

ACCOUNT = "Debian-exim"  # compiled in
# Accounts that every Debian has: the one that Exim's is another name of, and who delivers.
OWNER, DELIVERER = "daemon", "nobody"

CONFIG = """\
primary_hostname = mail.example.com
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%s
local_interfaces = {host}
daemon_smtp_ports = {port}
keep_environment =
# Nothing is looked up, nobody has to wait, and every message is delivered at once.
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
check_spool_space = 0
acl_smtp_rcpt = recipient
acl_smtp_data = accept
{tls}
{extra}
begin acl
recipient:
  deny message = no such mailbox
       recipients = {refused}
  accept domains = example.com : open.example
  deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  user = {deliverer}
  return_path_add
  envelope_to_add
"""

NO_TLS = "tls_advertise_hosts ="
TLS = """\
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
"""


@dataclass(frozen=True)
class Exim:
    """An Exim that greets on `port`; all it has is below `folder`."""

    folder: Path
    port: int

    def delivered(self) -> list[bytes]:
        """Return the content of all mails in its Maildir, in no certain order.

        One for each recipient. In front of what was received are the fields that Exim adds,
        Envelope-to and Received among them; the lines end with LF.
        """
        return [file.read_bytes() for file in self.folder.glob("mail/new/*")]

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails that one recipient got."""
        field = f"\nEnvelope-to: {recipient}\n".encode()
        return [mail for mail in self.delivered() if field in mail]

    def is_idle(self) -> bool:
        """Say whether everything that it has taken is delivered."""
        return not any(file.is_file() for file in self.folder.glob("spool/input/*"))

    def log(self) -> str:
        """Return what it has logged so far."""
        return (self.folder / "logs/main").read_text(errors="replace")


def why_not() -> str:
    """Return why Exim cannot be run here, "" if it can."""
    return mounts.why_not("exim")


@contextmanager
def running(
    extra: str = "", refused: Sequence[str] = (), certificate: tuple[Path, Path] | None = None
) -> Iterator[Exim]:
    """Run Exim and yield it once it greets; end all of it on leaving.

    `extra` has lines for the main section of its configuration; the addresses in `refused` it
    refuses at RCPT; with a `certificate` and its key it offers STARTTLS. Raises
    `peers.UnavailableError` when it cannot be had, `RuntimeError` when it does not start.
    """
    package = mounts.unpacked("exim")
    with tempfile.TemporaryDirectory(prefix="exim-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        _lay_out(folder)
        tls = _tls(folder, certificate) if certificate else NO_TLS
        config = CONFIG.format(
            folder=folder,
            host=HOST,
            port=port,
            tls=tls,
            extra=extra,
            refused=" : ".join(refused),
            deliverer=DELIVERER,
        )
        (folder / "etc/exim4/exim4.conf").write_text(config)
        over = {"/usr": package.folder / "usr", "/etc": folder / "etc"}
        argv = mounts.argv("/usr/sbin/exim4", "-bdf", over=over)
        with greeting(argv, package.env, folder / "log", port):
            yield Exim(folder, port)


def _lay_out(folder: Path) -> None:
    owner, deliverer = (pwd.getpwnam(name).pw_uid for name in (OWNER, DELIVERER))
    folder.chmod(0o755)
    for name, user in (("spool", owner), ("logs", owner), ("mail", deliverer)):
        (folder / name).mkdir()
        os.chown(folder / name, user, -1)
    (folder / "etc/exim4").mkdir(parents=True)
    mounts.write_accounts(folder / "etc", {ACCOUNT: OWNER})


def _tls(folder: Path, certificate: tuple[Path, Path]) -> str:
    for source, name in zip(certificate, ("cert.pem", "key.pem"), strict=True):
        (folder / name).write_bytes(source.read_bytes())
        (folder / name).chmod(0o600)
        os.chown(folder / name, pwd.getpwnam(OWNER).pw_uid, -1)
    return TLS.format(folder=folder)
