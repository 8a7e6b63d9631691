"""Run a real Exim in a separate folder and on a separate port.

It accepts mail for `example.com` and `open.example` and delivers it into a Maildir. `delivered` and
`mails` read it. Nothing is sent to another machine:

    with exim.running(refused=["bob@example.com"]) as mail:
        ...  # send something to 127.0.0.1, mail.port
        (message,) = eventually(lambda: mail.mails("someone@example.com"))

Exim has its account and its configuration file compiled in. With another file it drops the
privileges that it needs for delivery. tools/peers.py unpacks it without creating the account, so
tools/mounts.py puts both at the compiled-in paths and uses accounts that every Debian has.

Limits: see tools/mounts.py. It uses a separate folder and not one of pytest's, because Exim's
accounts cannot enter those.
"""

from __future__ import annotations

import os
import pwd
import subprocess
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
# Accounts that every Debian has: one that gets Exim's name too, and one for delivery.
OWNER, DELIVERER = "daemon", "nobody"

CONFIG = """\
primary_hostname = mail.example.com
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%s
local_interfaces = {host}
daemon_smtp_ports = {port}
keep_environment =
# No look-ups, no delays, and immediate delivery of every message.
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
check_spool_space = 0
acl_smtp_rcpt = recipient
acl_smtp_data = {data}
{tls}
{extra}
begin acl
{acls}
recipient:
  deny message = relay not permitted
       ! domains = example.com : open.example
{rules}
  deny message = no such mailbox
       recipients = {refused}
  accept
begin routers
{routers}
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
{transports}
"""

# What `next_hop` adds: everything goes to a port of this host.
ROUTER = """\
relayed:
  driver = manualroute
  transport = next_hop
  route_data = {host}
  self = send
"""
TRANSPORT = """\
next_hop:
  driver = smtp
  allow_localhost
  {next_hop}
"""

NO_TLS = "tls_advertise_hosts ="
TLS = """\
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
"""


@dataclass(frozen=True)
class Exim:
    """An Exim that greets on `port`; all its files are below `folder`."""

    folder: Path
    port: int

    def delivered(self) -> list[bytes]:
        """Return the content of all mails in its Maildir, in any order.

        There is one for each recipient. Exim adds header fields in front, Envelope-to and Received
        among them. Lines end with LF.
        """
        return [file.read_bytes() for file in self.folder.glob("mail/new/*")]

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails of one recipient."""
        field = f"\nEnvelope-to: {recipient}\n".encode()
        return [mail for mail in self.delivered() if field in mail]

    def is_idle(self) -> bool:
        """Return whether every accepted message is delivered."""
        return not any(file.is_file() for file in self.folder.glob("spool/input/*"))

    def log(self) -> str:
        """Return its log so far."""
        return (self.folder / "logs/main").read_text(errors="replace")


def why_not() -> str:
    """Return why Exim cannot run here, or ""."""
    return mounts.why_not("exim")


@contextmanager
def running(
    extra: str = "",
    refused: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
    next_hop: str = "",
    *,
    acls: str = "",
    rules: str = "",
    data: str = "accept",
) -> Iterator[Exim]:
    """Run Exim, yield it once it greets, and kill all its processes on exit.

    `extra` has lines for the main section of its configuration. It refuses the addresses in
    `refused` at RCPT. With a `certificate` and its key it offers STARTTLS. With a `next_hop`, the
    lines of a transport such as "port = 25", it relays everything to that port of this host.
    `acls` has more ACLs, `rules` has rules for RCPT after that for relaying, and `data` is the ACL
    of the content. Raise `peers.UnavailableError` if it is not available, and `RuntimeError` if it
    does not start.
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
            acls=acls,
            rules=rules,
            data=data,
            refused=" : ".join(refused),
            deliverer=DELIVERER,
            routers=ROUTER.format(host=HOST) if next_hop else "",
            transports=TRANSPORT.format(next_hop=next_hop) if next_hop else "",
        )
        (folder / "etc/exim4/exim4.conf").write_text(config)
        over = {"/usr": package.folder / "usr", "/etc": folder / "etc"}
        argv = mounts.argv("/usr/sbin/exim4", "-bdf", over=over)
        with greeting(argv, package.env, folder / "log", port):
            yield Exim(folder, port)


def expand(text: str) -> str:
    """Return what a text of its configuration expands to, such as "${lc:A}".

    Raise `peers.UnavailableError` if it is not available, `CalledProcessError` for a wrong text.
    """
    package = mounts.unpacked("exim")
    with tempfile.TemporaryDirectory(prefix="exim-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _lay_out(folder)
        (folder / "etc/exim4/exim4.conf").write_text("keep_environment =\n")
        over = {"/usr": package.folder / "usr", "/etc": folder / "etc"}
        argv = mounts.argv("/usr/sbin/exim4", "-be", text, over=over)
        return subprocess.run(  # the arguments are those of a test
            argv, env=package.env, check=True, capture_output=True, text=True
        ).stdout.strip()


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
