"""Run a real Postfix in a separate folder and on separate ports.

It accepts mail for `example.com` on one loopback port and delivers it into a Maildir. `delivered`
and `mails` read it. Nothing is sent to another machine. Other roles, such as a milter client, a
gateway to another server, or TLS, are set in main.cf and master.cf:

    with postfix.running({"mynetworks": "127.0.0.0/8"}) as mail:
        ...  # send something to 127.0.0.1, mail.port
        (message,) = eventually(lambda: mail.mails("someone@example.com"))

    port = daemon.free_port()
    with postfix.running(services=[f"127.0.0.1:{port} inet n - n - - smtpd -o smtpd_milters="]):

Postfix is unpacked by tools/peers.py, not installed. Its master is started without its scripts,
with accounts that every Debian has in place of those that the package would create.

Limits: root only (`UnavailableError`), because Postfix requires it. It uses a separate folder and
not one of pytest's, because Postfix's accounts cannot enter those. Errors that prevent its start
are only in the system's log.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools import peers
from tools.daemon import HOST, free_port, greeting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Three separate accounts and groups, as Postfix requires.
OWNER, DELIVERER, DROP_GROUP = "nobody", "daemon", "mail"
QUEUES = (
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
    "private", "public", "saved", "trace",
)  # fmt: skip

MAIN = {
    "compatibility_level": "3.6",
    "mail_owner": OWNER,
    "default_privs": DELIVERER,
    "setgid_group": DROP_GROUP,
    "import_environment": "LD_LIBRARY_PATH MAIL_CONFIG LANG=C",
    "maillog_file": "/dev/stdout",
    "myhostname": "mail.example.com",
    "mydestination": "",
    "mynetworks": "",
    "inet_interfaces": HOST,
    "inet_protocols": "ipv4",
    # No look-ups, and nothing leaves the machine.
    "disable_dns_lookups": "yes",
    "smtpd_peername_lookup": "no",
    "default_transport": "discard:",
    "local_transport": "error:there is no local delivery",
    "local_recipient_maps": "",
    "local_header_rewrite_clients": "",  # no header is completed
    "alias_maps": "",
    "alias_database": "",
    "queue_minfree": "0",
    "virtual_mailbox_domains": "example.com",
    "virtual_mailbox_maps": "static:all/",
}

MASTER = """\
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A Postfix that greets on `port`; `pid` is its master's, all its files are below `folder`."""

    folder: Path
    port: int
    pid: int

    def delivered(self) -> list[bytes]:
        """Return the content of all mails in its Maildir, in any order.

        There is one for each recipient. Postfix adds header fields in front, Delivered-To and
        Received among them. Lines end with LF.
        """
        return [file.read_bytes() for file in self.folder.glob("mail/all/new/*")]

    def mails(self, recipient: str) -> list[bytes]:
        """Return the content of the mails of one recipient."""
        field = f"\nDelivered-To: {recipient}\n".encode()
        return [mail for mail in self.delivered() if field in mail]

    def is_idle(self) -> bool:
        """Return whether every accepted message is delivered."""
        queues = [self.folder / "queue" / name for name in ("maildrop", "incoming", "active")]
        return not any(file.is_file() for queue in queues for file in queue.rglob("*"))

    def log(self) -> str:
        """Return its log so far."""
        return (self.folder / "log").read_text(errors="replace")


def why_not() -> str:
    """Return why Postfix cannot run here, or ""."""
    if os.geteuid():
        return "postfix is missing: only root may run it"
    return "".join(f"{name} is missing: {why}" for name, why in peers.missing(["postfix"]).items())


def look_up(folder: Path, table: str, key: str) -> str | None:
    """Return the value of a key in a table such as `tcp:HOST:PORT`, None if it is not there.

    postmap needs a folder for its configuration, and no root. Raise `peers.UnavailableError` if it
    is not available, and `RuntimeError` with its output for an error of the table.
    """
    command = peers.find("postfix")
    if command is None:
        raise peers.UnavailableError(peers.missing(["postfix"])["postfix"])
    programs = _programs(command)
    places = {"meta_directory": folder, "shlib_directory": programs / "usr/lib/postfix"}
    main = {**MAIN, **places}
    (folder / "main.cf").write_text("".join(f"{name} = {one}\n" for name, one in main.items()))
    os.utime(folder / "main.cf", (1, 1))  # Postfix waits if the file may still change
    done = subprocess.run(
        [programs / "usr/sbin/postmap", "-c", folder, "-q", key, table],
        env=command.env,
        capture_output=True,
        check=False,
    )
    if done.stderr:
        raise RuntimeError(f"postmap failed:\n{done.stderr.decode(errors='replace')}")
    return None if done.returncode else done.stdout.decode().removesuffix("\n")


@contextlib.contextmanager
def running(
    main: Mapping[str, str] | None = None, services: Sequence[str] = ()
) -> Iterator[Postfix]:
    """Run Postfix, yield it once it greets, and kill all its processes on exit.

    `main` has parameters of main.cf to add or replace, `services` has lines to add to master.cf.
    Raise `peers.UnavailableError` if it is not available, and `RuntimeError` if it does not start.
    """
    command = peers.find("postfix")
    if command is None or os.geteuid():
        raise peers.UnavailableError(why_not())
    with tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        _lay_out(folder, _programs(command), main or {}, services, port)
        etc = str(folder / "etc")
        argv = [str(_programs(command) / "usr/lib/postfix/sbin/master"), "-c", etc, "-d"]
        env = {**command.env, "MAIL_CONFIG": etc}
        implicit = (main or {}).get("smtpd_tls_wrappermode") == "yes"
        with greeting(argv, env, folder / "log", port, implicit=implicit) as master:
            yield Postfix(folder, port, master.pid)


def _programs(command: peers.Command) -> Path:
    """Return the folder into which Postfix was unpacked; the command is in its usr/sbin."""
    return Path(command.prefix[0]).parents[2]


def _lay_out(
    folder: Path, programs: Path, main: Mapping[str, str], services: Sequence[str], port: int
) -> None:
    owner, deliverer = (pwd.getpwnam(name) for name in (OWNER, DELIVERER))
    folder.chmod(0o755)
    for name, user in (
        ("queue", 0),
        ("etc", 0),
        ("data", owner.pw_uid),
        ("mail", deliverer.pw_uid),
    ):
        (folder / name).mkdir()
        os.chown(folder / name, user, -1)
    (folder / "queue/pid").mkdir()
    for name in QUEUES:
        (folder / "queue" / name).mkdir(mode=0o700)
        os.chown(folder / "queue" / name, owner.pw_uid, -1)
    places = {
        "queue_directory": folder / "queue",
        "data_directory": folder / "data",
        "command_directory": programs / "usr/sbin",
        "daemon_directory": programs / "usr/lib/postfix/sbin",
        "shlib_directory": programs / "usr/lib/postfix",
        "meta_directory": folder / "etc",
        "virtual_mailbox_base": folder / "mail",
        "virtual_uid_maps": f"static:{deliverer.pw_uid}",
        "virtual_gid_maps": f"static:{deliverer.pw_gid}",
        "virtual_minimum_uid": "1",
    }
    lines = [f"{name} = {value}\n" for name, value in {**MAIN, **places, **main}.items()]
    (folder / "etc/main.cf").write_text("".join(lines))
    own = MASTER.format(host=HOST, port=port)
    (folder / "etc/master.cf").write_text(own + "".join(f"{line}\n" for line in services))
