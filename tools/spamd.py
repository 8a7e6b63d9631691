"""Run a real spamd of SpamAssassin with its own rules, without network tests and learning.

    with spamd.running(folder) as server:
        ...  # requests at server.unix and server.tcp

The fields X-Spam-Relays and X-Spam-Sender have what it has read about the client and the domain of
the sender. Root is dropped, because spamd
demands that.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "spamd"
# On the command line: without the rights of root spamd cannot read files of the test.
LINES = (
    "use_bayes 0",
    "report_safe 0",
    "rewrite_header Subject [SPAM]",
    "add_header all Relays _RELAYSTRUSTED_ _RELAYSUNTRUSTED_",
    "add_header all Sender _SENDERDOMAIN_",
)


class Spamd(NamedTuple):
    """Its addresses, and the file with its output."""

    unix: Path
    tcp: int
    log: Path


def why_not() -> str:
    """Return why spamd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Spamd]:
    """Run spamd with its files in a folder, and kill it on exit.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    server = Spamd(folder / "spamd.sock", free_port(), folder / "spamd.log")
    root = peers.ROOT / NAME
    # Taint mode ignores PERL5LIB.
    modules = [f"-I{path}" for path in command.env["PERL5LIB"].split(":")]
    options = [
        *("--local", "--nouser-config", "--max-children=2", "--min-children=1", "--min-spare=1"),
        f"--configpath={root / 'usr/share/spamassassin'}",
        f"--siteconfigpath={root / 'etc/spamassassin'}",
        *(f"--cf={line}" for line in LINES),
        f"--socketpath={server.unix}",
        f"--listen={HOST}:{server.tcp}",
        f"--helper-home-dir={folder}",
        "--syslog=stderr",
        "--allow-tell",
        *(() if os.geteuid() else ("--username=daemon", "--groupname=daemon")),
    ]
    argv = command.argv("-T", *modules, root / "usr/sbin/spamd", *options)
    with daemon.running(argv, command.env, server.log, lambda: _answers(server.unix)):
        yield server


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"PING SPAMC/1.5\r\n\r\n")
        return b"PONG" in client.recv(100)
    return False
