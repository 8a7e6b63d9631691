"""Run a real LDAP server (OpenLDAP's slapd) with mailboxes of a test.

    with slapd.running(folder, ["ann@example.com"]) as server:
        ...  # open server.url: entries below slapd.BASE, each with the attribute mail

Anyone may read. It is killed on exit; a test may kill it and start it again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "slapd"
BASE = "dc=example,dc=com"
# The account of tests that authenticate; it may read everything.
ROOT_DN, PASSWORD = f"cn=root,{BASE}", "pass word"
CONFIG = """\
include {root}/etc/ldap/schema/core.schema
include {root}/etc/ldap/schema/cosine.schema
include {root}/etc/ldap/schema/inetorgperson.schema
modulepath {root}/usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
{options}
database mdb
suffix "{base}"
rootdn "{root_dn}"
rootpw "{password}"
directory {folder}/entries
maxsize 4294967296
dbnosync
index objectClass,mail,uid eq
{access}
"""
ROOT_ENTRY = f"dn: {BASE}\nobjectClass: domain\ndc: example\n"
ENTRY = """
dn: cn={number},{base}
objectClass: inetOrgPerson
cn: {number}
sn: {number}
uid: {user}
mail: {mail}
"""


class Slapd:
    """A slapd with its files in a folder, on a free port; `scheme` is "ldap" or "ldaps"."""

    def __init__(self, folder: Path, command: peers.Command, scheme: str) -> None:
        self.folder = folder
        self.url = f"{scheme}://{HOST}:{free_port()}"
        self._command = command
        self._stack = ExitStack()
        self._pid = 0

    def start(self) -> None:
        """Start it and wait until it accepts connections; raise `RuntimeError` if it does not."""
        argv = self._command.argv("-d", "0", "-f", self.folder / "slapd.conf", "-h", self.url)
        port = int(self.url.rpartition(":")[2])
        log = self.folder / "slapd.log"
        running = daemon.running(argv, self._command.env, log, lambda: daemon.accepts(port))
        self._pid = self._stack.enter_context(running).pid

    def kill(self) -> None:
        """Kill it, even if it is suspended."""
        self._stack.close()

    def suspend(self) -> None:
        """Stop the process; its port still accepts connections."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process continue."""
        os.kill(self._pid, signal.SIGCONT)

    def load(self, ldif: str) -> None:
        """Add entries while it does not run; raise `RuntimeError` if slapd refuses them."""
        file = self.folder / "entries.ldif"
        file.write_text(ldif)
        done = subprocess.run(
            self._command.argv("-T", "add", "-q", "-f", self.folder / "slapd.conf", "-l", file),
            env=self._command.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"slapd refuses the entries:\n{done.stderr}")


def why_not() -> str:
    """Return why slapd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(
    folder: Path,
    mailboxes: Sequence[str],
    *,
    ldif: str = "",
    options: str = "",
    access: str = "",
    scheme: str = "ldap",
) -> Iterator[Slapd]:
    """Run slapd with its files in a folder; yield it, and kill it on exit.

    `ldif` has further entries, each after an empty line. `options` and `access` are lines of
    slapd.conf: for the server, and about its database. Raise `peers.UnavailableError` if it is not
    available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    (folder / "entries").mkdir()
    config = CONFIG.format(
        root=peers.ROOT / NAME, folder=folder, base=BASE, root_dn=ROOT_DN, password=PASSWORD,
        options=options, access=access,
    )  # fmt: skip
    (folder / "slapd.conf").write_text(config)
    server = Slapd(folder, command, scheme)
    server.load(ROOT_ENTRY + "".join(_entries(mailboxes)) + ldif)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _entries(mailboxes: Sequence[str]) -> Iterator[str]:
    for number, mail in enumerate(mailboxes):
        user = mail.partition("@")[0]
        yield ENTRY.format(number=number, base=BASE, user=user, mail=mail)
